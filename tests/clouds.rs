//! Clouds that host the vendors' models: Google Vertex AI and Amazon Bedrock, with their credentials and their wires.

mod amazon;
mod bedrock;
mod google;
mod server;
mod vertex;
