"""The leaderboard: one self-contained HTML page out of reports and runs, and its pictures."""

from benchmarks.leaderboard.site import build
from benchmarks.leaderboard.strict_json import LeaderboardError

__all__ = ["LeaderboardError", "build"]
