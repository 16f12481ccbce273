"""callcenter: a self-hosted call-centre CRM with VoIP."""

__version__ = "0.1.0"
