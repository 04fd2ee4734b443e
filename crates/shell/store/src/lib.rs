//! What survives a restart: desired state, runtime records, and the claims journal.
