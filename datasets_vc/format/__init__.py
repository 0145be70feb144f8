"""Bytes <-> values. Pure: no input or output, no state. Specified in docs/format.md."""
