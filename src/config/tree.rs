//! Where each room's settings stand in the file.

use crate::alerts::config::{Alerts, Notifications};
use crate::balance::config::LoadBalancing;
use crate::batch::config::Batch;
use crate::cache::config::Cache;
use crate::cooldown::config::Cooldown;
use crate::domain::Period;
use crate::failover::config::Failover;
use crate::gateway::config::{Auth, Cors, Hedge, Limits, Retry, Streaming, Tls};
use crate::health::config::{HealthCheck, SelfHealing};
use crate::observe::config::{Logging, Tracing};
use crate::operations::config::{Api, Metrics};
use crate::providers::config::{ModelRoute, Pool, Provider};
use crate::settings::{OrOff, Port, settings};
use crate::store::config::State;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

settings! {
    /// The whole configuration.
    pub struct Config {
        /// The gateway itself.
        server: Server,
        /// The providers, by name; default: none.
        providers: BTreeMap<String, Provider>,
        /// Which providers serve a model, by the name that clients use; `"*"` for all others; default: none.
        models: BTreeMap<String, ModelRoute>,
        /// The folder of credential files; default `$CLIPROXY_AUTH_DIR`, else ./auths.
        auth_dir: PathBuf = PathBuf::from("./auths"),
        /// The folder of the embedded store; default `$CLIPROXY_STATE_DIR`, else ./state.
        state_dir: PathBuf = PathBuf::from("./state"),
        /// Where state is kept.
        state: State,
        /// The operations service, with the metrics for Prometheus.
        metrics: Metrics,
        /// The log.
        logging: Logging,
        /// Traces.
        tracing: Tracing,
        /// When an operator is told.
        alerts: Alerts,
        /// The channels that alerts speak through.
        notifications: Notifications,
    }
}

settings! {
    /// The gateway itself.
    pub struct Server {
        /// The address it listens on; default `$CLIPROXY_HOST`, else 127.0.0.1.
        host: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST),
        /// The port it listens on; default 8317.
        port: Port = Port(8317),
        /// Worker threads; default: the CPUs that the cgroup allows.
        threads: Option<u32> => 1..=1024,
        /// How long a shutdown waits for requests in flight; default 10m.
        grace_period: Period = Period::from_mins(10),
        /// How long a shutdown goes on accepting while /ready says no; default 0 = not at all.
        shutdown_delay: OrOff<Period> = OrOff::off(),
        /// TLS for clients; default: none.
        tls: Option<Tls>,
        /// Who may call.
        auth: Auth,
        /// What one request, and all together, may take.
        limits: Limits,
        /// Which web pages may call.
        cors: Cors,
        /// Other gateways that help out.
        failover: Failover,
        /// How requests are served and providers looked after.
        operations: Operations,
    }
}

settings! {
    /// How requests are served and providers looked after.
    pub struct Operations {
        /// How hard an answer is sought.
        retry: Retry,
        /// Streams to clients.
        streaming: Streaming,
        /// When a provider is left alone after errors.
        cooldown: Cooldown,
        /// Which provider gets a request.
        load_balancing: LoadBalancing,
        /// How providers are probed.
        health_check: HealthCheck,
        /// How providers are brought back.
        self_healing: SelfHealing,
        /// Idle connections to providers.
        connection_pool: Pool,
        /// Which embedding requests leave together.
        batch_processing: Batch,
        /// Which answers are kept.
        cache: Cache,
        /// Who may call the operations API.
        api: Api,
        /// A second attempt beside a slow first one.
        hedge: Hedge,
    }
}
