"""Whether what is kept can be trusted: heads that are written down daily, and verifying."""

from callcenter.crm.audit.operations import AUDIT
from callcenter.crm.interactions.sealed import RECORDINGS, REDACTIONS

CHAINS = (RECORDINGS, REDACTIONS, AUDIT)
"""Everything that is chained."""
