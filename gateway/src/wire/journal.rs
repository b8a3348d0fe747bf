//! Journal batches ↔ bytes: compact, versioned.
