//! What is refused for being too much, and how politely (rule O3): budgets, bodies, connections, time.

mod answers;
mod connections;
mod rates;
mod requests;
