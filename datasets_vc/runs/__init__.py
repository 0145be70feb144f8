"""Runs: trainings recorded, compared and reproduced."""
