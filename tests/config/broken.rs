//! Configurations that are refused: the text, and every error that is reported, with key path, line and a part
//! of the message.

/// Text and errors, in the order of the file.
type Row = (&'static str, &'static [(&'static str, usize, &'static str)]);

pub(super) const TABLE: &[Row] = &[
    // Keys.
    ("sever:\n  port: 1\n", &[("sever", 1, "is not a known key; did you mean `server`?")]),
    ("server:\n  prot: 1\n", &[("server.prot", 2, "did you mean `port`?")]),
    (
        "server:\n  operations:\n    cooldown:\n      error_treshold: 5\n",
        &[("server.operations.cooldown.error_treshold", 4, "did you mean `error_threshold`?")],
    ),
    ("zzz: 1\n", &[("zzz", 1, "known here: server, providers, models")]),
    ("server:\n  port: 1\n  port: 2\n", &[("server.port", 3, "given twice, first in line 2")]),
    ("providers:\n  openai:\n  openai:\n", &[("providers.openai", 3, "given twice, first in line 2")]),
    ("metrics: {port: 1, port: 2}\n", &[("metrics.port", 1, "given twice")]),
    (
        "server:\n  auth:\n    api_keys:\n      - sk-secret: me\n",
        &[
            ("server.auth.api_keys[0]", 4, "not a setting's name"),
            ("server.auth.api_keys[0]", 4, "needs `key` or `key_hash`"),
        ],
    ),
    ("server:\n  tls:\n    cert_file: /dev/null\n", &[("server.tls.key_file", 3, "is required: a path")]),
    (
        "providers:\n  a b: {format: openai, base_url: \"http://127.0.0.1:1\"}\n",
        &[("providers[\"a b\"]", 2, "a provider's name has letters, digits")],
    ),
    (
        "providers:\n  none: {format: openai, base_url: \"http://127.0.0.1:1\"}\n",
        &[("providers.none", 2, "stands for something else")],
    ),
    ("metrics:\n  path: /health\n", &[("metrics.path", 2, "/health is something else's path")]),
    ("metrics:\n  path: /v1/x\n", &[("metrics.path", 2, "/v1 is something else's path")]),
    // Types.
    ("server: 5\n", &[("server", 1, "expected a map of settings, found a text")]),
    ("server:\n  - port: 5\n", &[("server", 2, "expected a map of settings, found a list")]),
    ("providers:\n  - openai\n", &[("providers", 2, "expected a map, found a list")]),
    (
        "server:\n  auth:\n    api_keys: {a: b}\n",
        &[("server.auth.api_keys", 3, "expected a list, found a map")],
    ),
    ("- server\n", &[("", 1, "expected a map of settings, found a list")]),
    ("just text\n", &[("", 1, "expected a map of settings")]),
    ("metrics:\n  enabled: yes\n", &[("metrics.enabled", 2, "expected true or false, found `yes`")]),
    ("metrics:\n  enabled: [true]\n", &[("metrics.enabled", 2, "expected true or false, found a list")]),
    (
        "server:\n  auth:\n    api_keys: [{key: [a]}]\n",
        &[("server.auth.api_keys[0].key", 3, "expected a text, found a list")],
    ),
    ("server:\n  auth:\n    api_keys: ['']\n", &[("server.auth.api_keys[0]", 3, "or a text, found a text")]),
    // Numbers, durations, sizes, ratios, money.
    ("server:\n  port: 0\n", &[("server.port", 2, "a port from 1 to 65535, found `0`")]),
    ("server:\n  port: 65536\n", &[("server.port", 2, "a port from 1 to 65535")]),
    ("server:\n  threads: -1\n", &[("server.threads", 2, "expected a whole number, found `-1`")]),
    ("server:\n  threads: 0\n", &[("server.threads", 2, "must be within 1..=1024")]),
    (
        "server:\n  operations:\n    retry:\n      max_attempts: 21\n",
        &[("server.operations.retry.max_attempts", 4, "must be within 1..=20")],
    ),
    ("server:\n  grace_period: 10\n", &[("server.grace_period", 2, "500ms, 10s, 5m, 2h or 30d, found `10`")]),
    ("server:\n  grace_period: 0s\n", &[("server.grace_period", 2, "a whole number and a unit")]),
    ("server:\n  grace_period: 1m30s\n", &[("server.grace_period", 2, "a whole number and a unit")]),
    ("server:\n  shutdown_delay: -5s\n", &[("server.shutdown_delay", 2, "or 0 for off, found `-5s`")]),
    ("server:\n  limits:\n    max_body_size: 1.5M\n", &[("server.limits.max_body_size", 3, "K, M or G")]),
    ("server:\n  limits:\n    max_body_size: 0\n", &[("server.limits.max_body_size", 3, "K, M or G")]),
    ("tracing:\n  sample_rate: 1.1\n", &[("tracing.sample_rate", 2, "a number from 0 to 1, found `1.1`")]),
    ("tracing:\n  sample_rate: nan\n", &[("tracing.sample_rate", 2, "a number from 0 to 1")]),
    (
        "providers:\n  openai:\n    cost_per_1k_tokens:\n      input: -0.1\n      output: 1e3\n",
        &[
            ("providers.openai.cost_per_1k_tokens.input", 4, "an amount of dollars"),
            ("providers.openai.cost_per_1k_tokens.output", 5, "an amount of dollars"),
        ],
    ),
    (
        "providers:\n  openai:\n    cost_per_1k_tokens: {input: 1}\n",
        &[("providers.openai.cost_per_1k_tokens.output", 3, "is required: an amount of dollars")],
    ),
    (
        "providers:\n  openai:\n    quota: {limit: 0}\n",
        &[("providers.openai.quota.limit", 3, "a number above 0")],
    ),
    (
        "providers:\n  openai:\n    quota: {limit: 1.5}\n",
        &[("providers.openai.quota.limit", 3, "a whole number of tokens")],
    ),
    (
        "server:\n  operations:\n    retry:\n      backoff: {initial: 5s, max: 1s}\n",
        &[("server.operations.retry.backoff.max", 4, "must not be less than `initial` (5s)")],
    ),
    // Words, addresses, names.
    (
        "server:\n  operations:\n    load_balancing:\n      strategy: round-robin\n",
        &[("server.operations.load_balancing.strategy", 4, "did you mean `round_robin`?")],
    ),
    ("logging:\n  level: loud\n", &[("logging.level", 2, "one of: info debug warn error, found `loud`")]),
    ("server:\n  host: localhost\n", &[("server.host", 2, "an IP address, such as 127.0.0.1")]),
    (
        "providers:\n  openai:\n    base_url: ftp://example.com\n",
        &[("providers.openai.base_url", 3, "an http:// or https:// address")],
    ),
    (
        "providers:\n  openai:\n    base_url: https://u:${LEAK}@example.com\n",
        &[("providers.openai.base_url", 3, "found the text of a variable")],
    ),
    (
        "server:\n  operations:\n    api:\n      trusted_networks: [10.0.0.0/8, 10.0.0.0/33, ten]\n",
        &[
            ("server.operations.api.trusted_networks[1]", 4, "a block of addresses"),
            ("server.operations.api.trusted_networks[2]", 4, "a block of addresses"),
        ],
    ),
    (
        "server:\n  cors:\n    allowed_origins: [example.com]\n",
        &[("server.cors.allowed_origins", 3, "expected origins such as")],
    ),
    (
        "server:\n  auth:\n    api_keys:\n      - {key_hash: abc}\n",
        &[("server.auth.api_keys[0].key_hash", 4, "64 hexadecimal digits")],
    ),
    (
        "server:\n  auth:\n    api_keys:\n      - {key: a, expires_at: tomorrow}\n",
        &[("server.auth.api_keys[0].expires_at", 4, "2026-12-31T23:59:59Z")],
    ),
    (
        "providers:\n  openai:\n    headers: {'a b': c}\n",
        &[("providers.openai.headers[\"a b\"]", 3, "not a header's name")],
    ),
    (
        "notifications:\n  slack:\n    webhook_url: ${LEAK}\n",
        &[("notifications.slack.webhook_url", 3, "an http://")],
    ),
    ("notifications:\n  slack:\n    channel: x\n", &[("notifications.slack.webhook_url", 3, "is required")]),
    (
        "providers:\n  openai:\n    api_keys: [a, \"b\\n\"]\n    headers: {x-a: \"c\\r\"}\n",
        &[
            ("providers.openai.api_keys", 3, "line break or another character"),
            ("providers.openai.headers.x-a", 4, "line break or another character"),
        ],
    ),
    // What may be a secret is not repeated.
    (
        "server:\n  auth:\n    api_keys: sk-live\n",
        &[("server.auth.api_keys", 3, "expected a list, found a text")],
    ),
    (
        "server:\n  auth:\n    api_keys: [{key_hash: sk-live}]\n",
        &[("server.auth.api_keys[0].key_hash", 3, "found a text")],
    ),
    (
        "providers:\n  openai: {base_url: 'https://u:sk-p@h'}\n",
        &[("providers.openai.base_url", 2, "found a text")],
    ),
    (
        "server:\n  tls: {cert_file: '${LEAK}', key_file: /dev/null}\n",
        &[
            ("server.tls.cert_file", 2, "there is no file ***"),
            ("server.tls.key_file", 2, "there is no file /dev/null"),
        ],
    ),
    // Across keys.
    ("providers:\n  acme:\n    format: openai\n", &[("providers.acme", 3, "needs `format` and `base_url`")]),
    ("providers:\n  opnai:\n", &[("providers.opnai", 2, "or did you mean `openai`?")]),
    ("providers:\n  azure:\n    api_key: a\n", &[("providers.azure", 3, "needs its own `base_url`")]),
    (
        "providers:\n  vertex:\n    api_key: a\n",
        &[
            ("providers.vertex.region", 3, "needs it, or the variable GOOGLE_CLOUD_LOCATION"),
            ("providers.vertex.project", 3, "or a `service_account_file` that has it"),
        ],
    ),
    ("providers:\n  bedrock: {}\n", &[("providers.bedrock.region", 2, "or the variable AWS_REGION")]),
    (
        "providers:\n  two: {preset: bedrok, region: US/east}\n",
        &[
            ("providers.two", 2, "needs `format` and `base_url`"),
            ("providers.two.preset", 2, "there is no preset of that name; did you mean `bedrock`?"),
            ("providers.two.region", 2, "expected lower-case letters"),
        ],
    ),
    (
        "providers:\n  bedrock: {region: r, aws_access_key_id: a}\n",
        &[("providers.bedrock", 2, "go together")],
    ),
    (
        "providers:\n  vertex: {region: r, service_account_file: /nowhere.json}\n",
        &[("providers.vertex.service_account_file", 2, "there is no file /nowhere.json")],
    ),
    ("providers:\n  openai: {api_key: a, api_keys: [b]}\n", &[("providers.openai.api_keys", 2, "not both")]),
    (
        "providers:\n  openai: {ca_file: /nowhere.pem}\n",
        &[("providers.openai.ca_file", 2, "there is no file /nowhere.pem")],
    ),
    (
        "providers:\n  openai:\nmodels:\n  a:\n    targets:\n      - {provider: opnai}\n",
        &[("models.a.targets[0].provider", 6, "there is no provider `opnai`; did you mean `openai`?")],
    ),
    (
        "providers:\n  openai:\nmodels:\n  fast:\n    targets: [{provider: openai}]\n    fallbacks: [fasst, gpt-5, fast]\n",
        &[
            ("models.fast.fallbacks[0]", 6, "there is no model `fasst`; did you mean `fast`?"),
            ("models.fast.fallbacks[2]", 6, "can't fall back to itself"),
        ],
    ),
    ("models:\n  gpt-4.1: {}\n", &[("models[\"gpt-4.1\"]", 2, "needs `targets` or `fallbacks`")]),
    (
        "server:\n  auth:\n    api_keys:\n      - {key: a, name: x}\n      - {key: a, name: x, passthrough: [nope]}\n",
        &[
            ("server.auth.api_keys[1].key", 5, "another client has the same key"),
            ("server.auth.api_keys[1].name", 5, "another key is named `x` too"),
            ("server.auth.api_keys[1].passthrough", 5, "there is no provider `nope`"),
        ],
    ),
    (
        "providers:\n  openai:\nserver:\n  auth:\n    api_keys: [{key: a, models: [m], passthrough: [openai]}]\n",
        &[("server.auth.api_keys[0].passthrough", 5, "allow_unmetered: true")],
    ),
    (
        "server:\n  auth:\n    api_keys: [{key: a, budget: {reset: daily}}]\n",
        &[("server.auth.api_keys[0].budget", 3, "`usd` or `tokens`")],
    ),
    ("metrics:\n  port: 8317\n", &[("metrics.port", 2, "the gateway's own port")]),
    (
        "alerts:\n  rules:\n    - {name: a, condition: ' '}\n",
        &[("alerts.rules[0].condition", 3, "must not be empty")],
    ),
    (
        "alerts:\n  rules:\n    - {name: a, condition: b}\n    - {name: a, condition: c}\n",
        &[("alerts.rules[1].name", 4, "another rule is named `a` too")],
    ),
    ("state:\n  backend: redis\n", &[("state.url", 2, "is required with `backend: redis`")]),
    ("tracing:\n  enabled: true\n", &[("tracing.endpoint", 2, "is required with `enabled: true`")]),
    ("server:\n  failover:\n    enabled: true\n", &[("server.failover.backup_url", 3, "is required with")]),
    (
        "server:\n  failover:\n    enabled: true\n    mode: active_active\n    peers: ['http://8.8.8.8:8317']\n",
        &[("server.failover.peers", 5, "public addresses need `failover.secret`")],
    ),
    // Variables.
    ("server:\n  port: ${UNSET}\n", &[("server.port", 2, "the environment variable UNSET is not set")]),
    ("server:\n  port: ${EMPTY}${UNSET}\n", &[("server.port", 2, "EMPTY"), ("server.port", 2, "UNSET")]),
    ("server:\n  auth:\n    api_keys: ['${UNSET}']\n", &[("server.auth.api_keys[0]", 3, "UNSET is not set")]),
    (
        "providers:\n  openai:\n    headers: {x-a: '${UNSET}'}\n",
        &[("providers.openai.headers.x-a", 3, "UNSET is not set")],
    ),
    ("state:\n  backend: redis\n  url: ${UNSET}\n", &[("state.url", 3, "UNSET is not set")]),
    ("server:\n  port: ${PORT\n", &[("server.port", 2, "has no `}`")]),
    ("server:\n  port: ${1X}\n", &[("server.port", 2, "expected ${NAME} or ${NAME:-default}")]),
    ("server:\n  port: ${LEAK}\n", &[("server.port", 2, "found the text of a variable")]),
    // Not YAML, or too much of it.
    ("server:\n  port: [1\n", &[("", 2, "this is not YAML")]),
    ("server:\n\tport: 1\n", &[("", 2, "this is not YAML")]),
    ("a: 1\n---\nb: 2\n", &[("", 2, "one document")]),
    ("server: *nowhere\n", &[("", 1, "this is not YAML")]),
    ("server: &a\n  host: *a\n", &[("", 2, "part of")]),
    ("server: !mine {}\n", &[("", 1, "tags of one's own")]),
    ("? [a]\n: b\n", &[("", 1, "a key must be a plain text")]),
    (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
         d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
        &[("", 5, "more than 100000 values")],
    ),
    // All at once.
    (
        "server:\n  port: http\n  tsl: {}\n  limits:\n    max_body_size: big\nproviders:\n  acme:\n    weight: -1\n\
         logging:\n  format: jsn\n",
        &[
            ("server.port", 2, "a port from 1 to 65535"),
            ("server.tsl", 3, "did you mean `tls`?"),
            ("server.limits.max_body_size", 5, "K, M or G"),
            ("providers.acme", 8, "is no preset"),
            ("providers.acme.weight", 8, "a whole number"),
            ("logging.format", 10, "did you mean `json`?"),
        ],
    ),
];
