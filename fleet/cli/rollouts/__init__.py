"""The commands of `fleet rollout`, one file each, and what they draw and decide; see there."""
