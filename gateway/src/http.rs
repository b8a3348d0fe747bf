//! The API under /api/v1 and the page at /.
