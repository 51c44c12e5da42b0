"""From bytes back to instructions: their forms, classes and text."""
