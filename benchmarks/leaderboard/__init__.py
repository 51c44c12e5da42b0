"""The leaderboard: one self-contained HTML page out of reports and runs, and its pictures."""

from benchmarks.leaderboard.data import LeaderboardError
from benchmarks.leaderboard.site import build

__all__ = ["LeaderboardError", "build"]
