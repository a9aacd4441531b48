//! Request bodies whose cost is out of proportion to their size (row 15).
