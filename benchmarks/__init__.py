"""The benchmark: tasks, scorer, baselines and leaderboard. Never trains a model of ours."""
