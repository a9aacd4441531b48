//! Graphs in memory: made-up ids, and more state than fits (O3).
