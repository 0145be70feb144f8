"""Signatures by SSH keys, made and checked by `ssh-keygen`: who is trusted, and by which key."""

from datasets_vc.signing.settings import SigningSettings, parse_settings, trust_only
from datasets_vc.signing.signer import Signer
from datasets_vc.signing.verifier import Status, Verdict, Verifier

__all__ = [
    "Signer",
    "SigningSettings",
    "Status",
    "Verdict",
    "Verifier",
    "parse_settings",
    "trust_only",
]
