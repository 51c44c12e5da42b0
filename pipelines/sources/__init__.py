"""Sources: what corpora are made from. Each plans once, then makes any shard from its plan."""
