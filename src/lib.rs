//! notty.

pub mod api;
pub mod config;
pub mod desk;
pub mod gateway;
pub mod metrics;
pub mod moderation;
pub mod post_office;
pub mod postman;
pub mod rows;
pub mod segments;
pub mod telemetry;
pub mod zones;
