//! Events → engine → store → acknowledge → act, in that order.
