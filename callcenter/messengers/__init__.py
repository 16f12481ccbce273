"""Ways to customers: adapters of `crm.messages.ports.Messenger`, known to bootstrap only."""
