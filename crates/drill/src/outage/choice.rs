//! The outage that the options ask for. From here on, a drill does not tell the kinds apart.

use std::time::Duration;

use async_trait::async_trait;

use super::command::CommandOutage;
use super::contract::{Hindrance, Outage, Prepared};
use super::docker::DockerOutage;
use super::kubernetes::outage::KubernetesOutage;
use super::process::ProcessOutage;
use super::proxy::ProxyOutage;
use super::restore::Restore;
use super::systemd::SystemdOutage;
use crate::database::address::Address;
use crate::scenario::options::Options;
use crate::scenario::outage_kind::OutageKind;
use crate::state::journal::Journal;

/// An outage of any kind: as [`Outage`], with the record of its way up.
#[async_trait]
pub trait AnyOutage: Send + Sync {
    /// As [`Outage::describe`].
    fn describe(&self) -> String;

    /// As [`Outage::prepare`].
    ///
    /// # Errors
    /// As there.
    async fn prepare(&mut self) -> Result<Prepared<Restore>, Hindrance>;

    /// As [`Outage::suits`].
    ///
    /// # Errors
    /// As there.
    async fn suits(&self, address: &Address, hosts: &[String]) -> Result<(), Hindrance>;

    /// As [`Outage::down`].
    ///
    /// # Errors
    /// As there.
    async fn down(&self, journal: &Journal) -> anyhow::Result<()>;

    /// As [`Outage::effect_within`].
    fn effect_within(&self) -> Duration;
}

#[async_trait]
impl<O> AnyOutage for O
where
    O: Outage,
    Restore: From<O::Up>,
{
    fn describe(&self) -> String {
        Outage::describe(self)
    }

    async fn prepare(&mut self) -> Result<Prepared<Restore>, Hindrance> {
        let Prepared { blast_radius, marked, way_up } = Outage::prepare(self).await?;
        Ok(Prepared { blast_radius, marked, way_up: way_up.into() })
    }

    async fn suits(&self, address: &Address, hosts: &[String]) -> Result<(), Hindrance> {
        Outage::suits(self, address, hosts).await
    }

    async fn down(&self, journal: &Journal) -> anyhow::Result<()> {
        Outage::down(self, journal).await
    }

    fn effect_within(&self) -> Duration {
        Outage::effect_within(self)
    }
}

/// The outage that these options ask for.
///
/// # Errors
/// A flag that it needs is missing, or one is wrong.
pub fn choose(options: &Options) -> Result<Box<dyn AnyOutage>, Hindrance> {
    Ok(match options.outage {
        OutageKind::Command => Box::new(CommandOutage::new(options)?),
        OutageKind::Process => Box::new(ProcessOutage::new(options)?),
        OutageKind::Kubernetes => Box::new(KubernetesOutage::new(options)?),
        OutageKind::Proxy => Box::new(ProxyOutage::new(options)?),
        OutageKind::Systemd => Box::new(SystemdOutage::new(options)?),
        OutageKind::Docker => Box::new(DockerOutage::new(options)?),
    })
}
