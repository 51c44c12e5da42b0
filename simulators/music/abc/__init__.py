"""ABC: the normal form of a tune, and tunes moved, cut and put together again."""
