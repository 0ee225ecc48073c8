//! config.toml.example
