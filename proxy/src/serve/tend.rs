//! The pools and the gauges, looked after regularly.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::handover::Stage;
use crate::pool::servers::Servers;
use crate::shared::Shared;
use crate::shared::cluster::Cluster;

/// How often that is.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks after them for ever, also while another process has taken over and clients leave.
pub(super) async fn tend(shared: Arc<Shared>) {
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for cluster in shared.current().clusters() {
            match shared.handover.stage() {
                Stage::Replaced => wind_down(&cluster).await,
                _ => serve(&cluster).await,
            }
        }
        shared.observe();
        shared.clients.tick();
    }
}

async fn serve(cluster: &Cluster) {
    cluster.servers.tend().await;
    cluster.tenants.tend().await;
}

/// PostgreSQL's connections are for the other process: none stays open because it may be needed.
async fn wind_down(cluster: &Cluster) {
    cluster.servers.close_idle();
    cluster.servers.look_again();
    cluster.tenants.all().iter().for_each(Servers::close_idle);
    cluster.tenants.tend().await;
}
