//! The vendors' own Python SDKs, whose reading of an answer is the last word on its shape.
//!
//! Here they meet the simulator, which must look to them as the vendor does. `sdk_gateway.rs` has them meet
//! the gateway.

mod python;

pub use python::run_script;

use crate::support::Provider;

#[track_caller]
fn accepts(script: &str, provider: &Provider) {
    run_script(script, &provider.base_url(), provider.key(), "");
}

#[test]
fn openais_sdk_accepts_the_simulator() {
    accepts("openai_sdk.py", &Provider::openai());
}

#[test]
fn anthropics_sdk_accepts_the_simulator() {
    accepts("anthropic_sdk.py", &Provider::anthropic());
}

#[test]
fn googles_sdk_accepts_the_simulator() {
    accepts("gemini_sdk.py", &Provider::gemini());
}
