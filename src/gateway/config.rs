//! The settings of the data plane: who may call, how much, and how hard an answer is sought.

use crate::domain::{Money, Period, Ratio, Secret, Size};
use crate::quota::config::Reset;
use crate::settings::{Node, OrOff, Problems, Scalar, Timestamp, Url, choices, settings};
use std::path::PathBuf;

settings! {
    /// Who may call the gateway.
    #[derive(Eq)]
    pub struct Auth {
        /// The keys that clients may use: plain texts or maps; default: none.
        api_keys: Vec<ClientKey>,
        /// Whether callers without a key are served on an address that isn't loopback; default false.
        allow_anonymous: bool = false,
    }
}

settings! {
    /// A key that a client may use, and what it may do.
    #[derive(Eq)]
    pub struct ClientKey {
        /// The key itself; give this or `key_hash`.
        key: Option<Secret>,
        /// The SHA-256 of the key in hexadecimal, as `printf %s "$KEY" | sha256sum` prints it.
        key_hash: Option<KeyHash>,
        /// The name in log, metrics and status; default: a prefix of the hash.
        name: Option<String>,
        /// The models that may be asked for, by client-facing name; default: all.
        models: Option<Vec<String>>,
        /// The providers that may be called directly under `/providers/{name}/`; default: none.
        passthrough: Vec<String>,
        /// Whether pass-through is open to a key with `models` or `budget`, which it escapes; default false.
        allow_unmetered: bool = false,
        /// How much may be asked at once and per minute; default: no limit.
        rate_limit: Option<RateLimit>,
        /// How much may be spent; default: no limit.
        budget: Option<Budget>,
        /// When the key stops working, RFC 3339; default: never.
        expires_at: Option<Timestamp>,
    }
    or text Self::of_text;
    check Self::check;
}

impl ClientKey {
    fn of_text(text: &str) -> ClientKey {
        ClientKey { key: Some(Secret::new(text)), ..ClientKey::default() }
    }

    fn check(&self, node: &Node, problems: &mut Problems) {
        let given = |key| node.get(key).is_some();
        match (given("key"), given("key_hash")) {
            (false, false) => problems.error(node, "a client key needs `key` or `key_hash`"),
            (true, true) => problems.error_at(node, "key_hash", "give `key` or `key_hash`, not both"),
            _ => {}
        }
        let confined = self.models.is_some() || self.budget.is_some();
        if confined && !self.passthrough.is_empty() && !self.allow_unmetered {
            let message =
                "escapes this key's `models` and `budget`; set `allow_unmetered: true` if that is meant";
            problems.error_at(node, "passthrough", message);
        }
    }
}

/// The SHA-256 of a client key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl Scalar for KeyHash {
    const FORM: &'static str = "the SHA-256 of a key: 64 hexadecimal digits";
    const REPEATED: bool = false;

    fn parse(text: &str) -> Option<KeyHash> {
        let mut hash = [0; 32];
        if text.len() != 2 * hash.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (index, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(KeyHash(hash))
    }

    fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

settings! {
    /// How much a client may ask at once and per minute.
    #[derive(Eq)]
    pub struct RateLimit {
        /// Requests per minute; default: no limit.
        requests_per_minute: Option<u32> => 1..,
        /// Tokens per minute, in and out; default: no limit.
        tokens_per_minute: Option<u32> => 1..,
        /// Requests at one time; default: no limit.
        max_concurrency: Option<u32> => 1..,
    }
}

settings! {
    /// How much a client may spend.
    #[derive(Eq)]
    pub struct Budget {
        /// US dollars; give this or `tokens`.
        usd: Option<Money>,
        /// Tokens, in and out; give this or `usd`.
        tokens: Option<u64>,
        /// When it begins anew (calendar, UTC): hourly, daily, weekly, monthly or never; default monthly.
        reset: Reset,
    }
    check Self::check;
}

impl Budget {
    fn check(&self, node: &Node, problems: &mut Problems) {
        let given = |key| node.get(key).is_some();
        if given("usd") == given("tokens") {
            problems.error(node, "a budget needs `usd` or `tokens`, one of the two");
        }
    }
}

settings! {
    /// What one request, and all together, may take.
    #[derive(Eq)]
    pub struct Limits {
        /// The largest request body, in bytes; default 32M.
        max_body_size: Size = Size::from_mib(32),
        /// The largest request header, in bytes; default 64K.
        max_header_size: Size = Size::from_kib(64),
        /// Requests at one time, beyond which 503 is answered; default 10000.
        max_concurrent_requests: u32 = 10_000 => 1..,
        /// Bytes held for all requests; default: a quarter of the memory limit.
        max_buffered_bytes: Option<Size>,
        /// How long a client may take to send its header; default 10s.
        header_timeout: Period = Period::from_secs(10),
        /// How long a client may leave what we write unread; default 60s.
        write_timeout: Period = Period::from_secs(60),
    }
}

settings! {
    /// Which web pages may call the gateway.
    #[derive(Eq)]
    pub struct Cors {
        /// Origins such as `https://chat.example.com`, or `*`; default: none.
        allowed_origins: Vec<String>,
    }
    check Self::check;
}

impl Cors {
    fn check(&self, node: &Node, problems: &mut Problems) {
        let is_origin = |text: &str| Url::parse(text).is_some_and(|url| url.to_string() == text);
        if !self.allowed_origins.iter().all(|origin| origin == "*" || is_origin(origin)) {
            problems.error_at(
                node,
                "allowed_origins",
                "expected origins such as https://chat.example.com, or *",
            );
        }
    }
}

settings! {
    /// TLS for clients.
    #[derive(Eq)]
    pub struct Tls {
        required {
            /// The certificate chain, PEM.
            cert_file: PathBuf,
            /// Its private key, PEM.
            key_file: PathBuf,
        }
    }
}

choices! {
    /// What is done about a stream that breaks after its first bytes went out.
    pub enum StreamRecovery {
        /// It ends with an error event.
        Off = "off",
        /// Another provider is asked again, and its answer followed as long as it says the same.
        Match = "match",
        /// Another provider goes on from the partial answer, where it can.
        Continue = "continue",
    }
}

settings! {
    /// How hard an answer is sought before the client sees any of it.
    pub struct Retry {
        /// Attempts in all, the first included; default 4.
        max_attempts: u32 = 4 => 1..=20,
        /// The wait before another attempt at the same provider.
        backoff: Backoff,
        /// How much extra load further attempts may put on one provider.
        budget: RetryBudget,
        /// The time for all attempts, until the first bytes go out; default 10m.
        total_timeout: Period = Period::from_mins(10),
        /// The longest `Retry-After` that is waited out; default 3s, 0 = none.
        wait_max: OrOff<Period> = OrOff::on(Period::from_secs(3)),
        /// What is done about a stream that breaks: off, match or continue; default off.
        stream_recovery: StreamRecovery,
        /// The largest plain answer that is held back until it is complete, in bytes; default 4M.
        max_buffered_response: Size = Size::from_mib(4),
    }
}

settings! {
    /// Exponential backoff with full jitter.
    #[derive(Eq)]
    pub struct Backoff {
        /// The upper bound of the first wait; default 100ms.
        initial: Period = Period::from_millis(100),
        /// The upper bound of any wait; default 2s.
        max: Period = Period::from_secs(2),
    }
    check Self::check;
}

impl Backoff {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if self.initial > self.max {
            problems.error_at(node, "max", format!("must not be less than `initial` ({})", self.initial));
        }
    }
}

settings! {
    /// A token bucket per provider for attempts after the first: an outage must not multiply load.
    pub struct RetryBudget {
        /// Tokens earned per request of the window; default 0.2.
        ratio: Ratio = Ratio::from_thousandths(200),
        /// The time over which a request earns its tokens, at most 30s; default 10s.
        window: Period = Period::from_secs(10),
        /// Tokens earned per second whatever the load; default 10.
        per_second: u32 = 10,
        /// The most tokens that can be saved up; default 10.
        burst: u32 = 10 => 0..=10_000,
    }
    check Self::check;
}

impl RetryBudget {
    /// What is kept of the past is a minute: half of it to earn in, half to spend in.
    const MAX_WINDOW: Period = Period::from_secs(30);

    fn check(&self, node: &Node, problems: &mut Problems) {
        if self.window.is_zero() || self.window > Self::MAX_WINDOW {
            problems.error_at(node, "window", format!("must be from 1ms to {}", Self::MAX_WINDOW));
        }
    }
}

settings! {
    /// Streams to clients.
    #[derive(Eq)]
    pub struct Streaming {
        /// A comment or ping after that much silence, once bytes have gone out; default 15s, 0 = off.
        keepalive: OrOff<Period> = OrOff::on(Period::from_secs(15)),
        /// How long the header waits for the first content before a comment goes out; default 45s, 0 = off.
        keepalive_before_commit: OrOff<Period> = OrOff::on(Period::from_secs(45)),
        /// The largest event that is parsed, in bytes; default 16M.
        max_event_size: Size = Size::from_mib(16),
    }
}

settings! {
    /// A second attempt beside a slow first one.
    #[derive(Eq)]
    pub struct Hedge {
        /// Whether a slow request gets a second attempt at another provider; default false.
        enabled: bool = false,
        /// How long the first attempt may stay without content before that; default 5s.
        delay: Period = Period::from_secs(5),
    }
}
