"""Baselines: a CNN for images, an RNN for texts, a CNN with an LSTM for clips, and their training.

`python -m models --help` trains one; each model's file can be read by itself.
"""
