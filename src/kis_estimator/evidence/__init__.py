"""The evidence of a run: what each stage did, sealed, signed, chained, and checked again.

`evidence.keys` alone knows cryptography; import it where something is signed or checked.
"""

from kis_estimator.evidence.canonical import plain, pretty, sha256
from kis_estimator.evidence.chain import LOG, locked_log
from kis_estimator.evidence.chain_check import ChainReport, packs_beside, verify_chain
from kis_estimator.evidence.difference import Difference, difference
from kis_estimator.evidence.envelope import Signer
from kis_estimator.evidence.export import export, export_for_customer, new_file
from kis_estimator.evidence.inputs import Inputs, RunOptions, input_files, read_inputs
from kis_estimator.evidence.layout import complete_gate
from kis_estimator.evidence.manifest import PackFacts, estimate_sha, read_manifest
from kis_estimator.evidence.pack import Pack, open_pack
from kis_estimator.evidence.sealing import link_pack, seal_pack, with_sums
from kis_estimator.evidence.stages import StageRecord, design_sha, quoted, stage_files
from kis_estimator.evidence.verify import Report, Verdict, verify

__all__ = [
    "LOG",
    "ChainReport",
    "Difference",
    "Inputs",
    "Pack",
    "PackFacts",
    "Report",
    "RunOptions",
    "Signer",
    "StageRecord",
    "Verdict",
    "complete_gate",
    "design_sha",
    "difference",
    "estimate_sha",
    "export",
    "export_for_customer",
    "input_files",
    "link_pack",
    "locked_log",
    "new_file",
    "open_pack",
    "packs_beside",
    "plain",
    "pretty",
    "quoted",
    "read_inputs",
    "read_manifest",
    "seal_pack",
    "sha256",
    "stage_files",
    "verify",
    "verify_chain",
    "with_sums",
]
