//! The vendors' own Python SDKs against the gateway, each in front of a provider of its own dialect.

use crate::sdk::run_script;
use crate::support::{Gateway, Provider};

const KEY: &str = "client-key";

/// Whatever model a script asks for, the one provider has it, those that fail included.
const MODELS: &str = "models: [gpt-4o-mini, text-embedding-3-small, claude-sonnet-4-5, gemini-2.5-flash, \
    gemini-embedding-001, fault-s02, fault-s12, fault-s16, fault-404-model]";

/// The scripts provoke errors, and go on asking.
const NO_COOLDOWN: &str = "cooldown: {enabled: false}";

#[track_caller]
fn works_before(script: &str, provider: &Provider, more: &str) {
    let gateway = Gateway::start(&format!(
        "server: {{host: 127.0.0.1, port: {{port}}, auth: {{api_keys: [{KEY}]}}, operations: {{retry: {{max_attempts: 1}}}}}}\nproviders:\n{}",
        provider.yaml_with("only", &[MODELS, NO_COOLDOWN, more])
    ));
    run_script(script, &gateway.url(), KEY, "");
    let received = provider.transcript();
    assert!(!received.is_empty(), "the provider was asked");
    for request in received {
        assert!(!format!("{:?}", request.headers).contains(KEY), "the client's key stays here");
    }
}

#[test]
fn openais_sdk_works_before_openai() {
    works_before("openai_sdk.py", &Provider::openai(), "responses: true");
}

#[test]
fn anthropics_sdk_works_before_anthropic() {
    works_before("anthropic_sdk.py", &Provider::anthropic(), "");
}

#[test]
fn googles_sdk_works_before_gemini() {
    works_before("gemini_sdk.py", &Provider::gemini(), "");
}
