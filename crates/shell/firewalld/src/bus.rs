//! What is said to firewalld over D-Bus (firewalld.dbus(5)).

use crate::FirewalldError;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::{
    Connection, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, Proxy, Variant,
    connection, message,
};

/// For a single call; an order of several has less in all, which is what ends it.
const PATIENCE: Duration = Duration::from_secs(25);

const NAME: &str = "org.fedoraproject.FirewallD1";
const PATH: &str = "/org/fedoraproject/FirewallD1";
const CONFIG_PATH: &str = "/org/fedoraproject/FirewallD1/config";
const CONFIG: &str = "org.fedoraproject.FirewallD1.config";
/// The D-Bus name of its errors, and the code of one (firewall/errors.py).
const EXCEPTION: &str = "org.fedoraproject.FirewallD1.Exception";
const UNKNOWN_INTERFACE: &str = "UNKNOWN_INTERFACE";

/// Docker's names.
const ZONE: &str = "docker";
const POLICY: &str = "docker-forwarding";
/// By this, and not by the name, ours is distinguished from Docker's own.
const MARK: &str = "made by Sealane";

type Settings<'a> = HashMap<&'static str, Variant<'a>>;
type Answer<T> = Result<T, zbus::Error>;

/// A connection to the system's bus.
pub(crate) struct Bus(Connection);

impl Bus {
    /// Connects; an error where there is no bus.
    pub(crate) async fn connect() -> Answer<Self> {
        let builder = connection::Builder::system().method_timeout(PATIENCE);
        builder.build().await.map(Self)
    }

    /// Whether firewalld runs. It is asked for nothing before: a call would make the bus start it.
    pub(crate) async fn has_firewalld(&self) -> Answer<bool> {
        let bus = DBusProxy::new(&self.0).await?;
        let name = BusName::try_from(NAME)?;
        Ok(bus.name_has_owner(name).await?)
    }

    /// A message for each time that it came, went or reloaded its rules.
    pub(crate) async fn changes(&self) -> Answer<(MessageStream, MessageStream)> {
        let comings = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .arg(0, NAME)
            .build()?;
        let reloads = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .interface(NAME)
            .member("Reloaded")
            .build()?;
        let comings = MessageStream::for_match_rule(comings, &self.0, None).await?;
        let reloads = MessageStream::for_match_rule(reloads, &self.0, None).await?;
        Ok((comings, reloads))
    }

    /// Makes zone and policy if need be, and these bridges the zone's.
    pub(crate) async fn give(&self, bridges: &BTreeSet<String>) -> Result<(), FirewalldError> {
        self.ensure_zone().await?;
        for bridge in bridges {
            self.add(bridge).await?;
        }
        Ok(())
    }

    /// Makes a bridge the zone's, whichever it was in.
    pub(crate) async fn add(&self, bridge: &str) -> Result<(), FirewalldError> {
        let added = self.zones("changeZoneOfInterface", &(ZONE, bridge)).await;
        added.map_err(refused(format!("take {bridge} into its zone {ZONE}")))
    }

    /// Takes a bridge out of the zone.
    pub(crate) async fn remove(&self, bridge: &str) -> Result<(), FirewalldError> {
        match self.zones("removeInterface", &(ZONE, bridge)).await {
            Err(error) if code(&error) == Some(UNKNOWN_INTERFACE) => Ok(()),
            Err(error) => Err(refused(format!("take {bridge} out of its zone {ZONE}"))(
                error,
            )),
            Ok(()) => Ok(()),
        }
    }

    /// Removes zone and policy, if they are ours.
    pub(crate) async fn withdraw(&self) -> Result<(), FirewalldError> {
        let withdrawn = self.try_withdraw().await;
        withdrawn.map_err(refused(format!("remove its zone {ZONE}")))
    }

    async fn try_withdraw(&self) -> Answer<()> {
        let mut removed = false;
        for (of, names, by_name, settings, name) in [
            (
                "policy",
                "getPolicyNames",
                "getPolicyByName",
                "getSettings",
                POLICY,
            ),
            (
                "zone",
                "getZoneNames",
                "getZoneByName",
                "getSettings2",
                ZONE,
            ),
        ] {
            let config = self.config().await?;
            let known: Vec<String> = config.call(names, &()).await?;
            if !known.iter().any(|other| other == name) {
                continue;
            }
            let path: OwnedObjectPath = config.call(by_name, &(name,)).await?;
            let object = Proxy::new(&self.0, NAME, path, format!("{CONFIG}.{of}")).await?;
            let settings: HashMap<String, OwnedVariant> = object.call(settings, &()).await?;
            if is_ours(&settings) {
                object.call::<_, _, ()>("remove", &()).await?;
                removed = true;
            }
        }
        if removed {
            self.reload().await?;
        }
        Ok(())
    }

    async fn ensure_zone(&self) -> Result<(), FirewalldError> {
        let ensured = self.try_ensure_zone().await;
        ensured.map_err(refused(format!("make a zone {ZONE}")))
    }

    /// What is made permanently is in force after a reload only.
    async fn try_ensure_zone(&self) -> Answer<()> {
        let zones: Vec<String> = self.runtime("zone").await?.call("getZones", &()).await?;
        let policies: Vec<String> = self
            .runtime("policy")
            .await?
            .call("getPolicies", &())
            .await?;
        let has = |list: &[String], name: &str| list.iter().any(|other| other == name);
        if has(&zones, ZONE) && has(&policies, POLICY) {
            return Ok(());
        }
        let config = self.config().await?;
        if !has(
            &config
                .call::<_, _, Vec<String>>("getZoneNames", &())
                .await?,
            ZONE,
        ) {
            config
                .call::<_, _, OwnedObjectPath>("addZone2", &(ZONE, zone()))
                .await?;
        }
        if !has(
            &config
                .call::<_, _, Vec<String>>("getPolicyNames", &())
                .await?,
            POLICY,
        ) {
            config
                .call::<_, _, OwnedObjectPath>("addPolicy", &(POLICY, policy()))
                .await?;
        }
        self.reload().await
    }

    async fn reload(&self) -> Answer<()> {
        Proxy::new(&self.0, NAME, PATH, NAME)
            .await?
            .call("reload", &())
            .await
    }

    async fn zones(&self, method: &'static str, of: &(&str, &str)) -> Answer<()> {
        let zones = self.runtime("zone").await?;
        zones.call::<_, _, String>(method, of).await.map(drop)
    }

    async fn runtime(&self, of: &str) -> Answer<Proxy<'static>> {
        Proxy::new(&self.0, NAME, PATH, format!("{NAME}.{of}")).await
    }

    async fn config(&self) -> Answer<Proxy<'static>> {
        Proxy::new(&self.0, NAME, CONFIG_PATH, CONFIG).await
    }
}

/// Whatever comes from our bridges is accepted.
fn zone() -> Settings<'static> {
    HashMap::from([
        ("target", "ACCEPT".into()),
        ("short", ZONE.into()),
        (
            "description",
            format!("Bridges of containers, {MARK}.").into(),
        ),
    ])
}

/// Whatever goes to them is accepted, wherever from.
fn policy() -> Settings<'static> {
    HashMap::from([
        ("target", "ACCEPT".into()),
        ("short", POLICY.into()),
        (
            "description",
            format!("Packets to containers, {MARK}.").into(),
        ),
        ("ingress_zones", vec!["ANY"].into()),
        ("egress_zones", vec![ZONE].into()),
    ])
}

fn is_ours(settings: &HashMap<String, OwnedVariant>) -> bool {
    let description = settings.get("description");
    let text = description.and_then(|value| value.downcast_ref::<&str>().ok());
    text.is_some_and(|text| text.contains(MARK))
}

/// The code of firewalld's own error: all have one D-Bus name, and begin with the code.
fn code(error: &zbus::Error) -> Option<&str> {
    let zbus::Error::MethodError(name, Some(text), _) = error else {
        return None;
    };
    let code = text.split(':').next().map(str::trim);
    code.filter(|_| name.as_str() == EXCEPTION)
}

fn refused(what: String) -> impl FnOnce(zbus::Error) -> FirewalldError {
    move |source| FirewalldError::Refused {
        what,
        source: Box::new(source),
    }
}
