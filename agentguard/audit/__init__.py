"""The journal: one append-only file per writing process, chained with a key, and what reads and verifies it."""

from agentguard.audit.disk import Disk
from agentguard.audit.findings import FindingCounts, finding_counts
from agentguard.audit.journal import Journal
from agentguard.audit.keeping import Keeping, keeping
from agentguard.audit.kept import Kept, KeptCall, KeptCalls, counted
from agentguard.audit.reading import UNREADABLE, Entry, read
from agentguard.audit.report import Bad, Report, What, WriterReport
from agentguard.audit.shadow import ShadowClause, ShadowReport, shadow_report
from agentguard.audit.stencil import Stencil, json_of
from agentguard.audit.verification import verify

__all__ = [
    "UNREADABLE",
    "Bad",
    "Disk",
    "Entry",
    "FindingCounts",
    "Journal",
    "Keeping",
    "Kept",
    "KeptCall",
    "KeptCalls",
    "Report",
    "ShadowClause",
    "ShadowReport",
    "Stencil",
    "What",
    "WriterReport",
    "counted",
    "finding_counts",
    "json_of",
    "keeping",
    "read",
    "shadow_report",
    "verify",
]
