"""Versions: manifests, commits, refs, revisions, differences, snapshots."""
