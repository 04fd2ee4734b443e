//! `GET /networks/NAME/reservations`, `POST …/reserve` and `…/release`: ours; Docker has none.

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use crate::shape::nullable;
use sealane_core::model::{Lease, Reservation};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;

/// An address, and who it is for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
struct Body {
    #[serde(deserialize_with = "nullable")]
    address: String,
    /// The container's name; empty for the one that asks for the address.
    #[serde(deserialize_with = "nullable")]
    name: String,
}

/// Shows what is reserved, and what containers are expected to come back to.
pub(crate) async fn reservations(call: Call, network: String) -> Result<Response, ApiError> {
    let (reservations, leases) = call
        .blocking(move |api| api.engine.expected(&network))
        .await?;
    Ok(respond::ok(&json!({
        "Reservations": reservations.iter().map(reservation).collect::<Vec<_>>(),
        "Leases": leases.iter().map(lease).collect::<Vec<_>>(),
    })))
}

/// Reserves an address.
pub(crate) async fn reserve(mut call: Call, network: String) -> Result<Response, ApiError> {
    let body: Body = call.json().await?;
    let address = address(&body.address)?;
    call.blocking(move |api| {
        let name = Some(body.name.as_str()).filter(|name| !name.is_empty());
        api.engine.reserve_address(&network, address, name)
    })
    .await?;
    Ok(respond::ok(&json!({})))
}

/// Ends a reservation.
pub(crate) async fn release(mut call: Call, network: String) -> Result<Response, ApiError> {
    let body: Body = call.json().await?;
    let address = address(&body.address)?;
    call.blocking(move |api| api.engine.release_address(&network, address))
        .await?;
    Ok(respond::ok(&json!({})))
}

fn address(text: &str) -> Result<IpAddr, ApiError> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        ApiError::invalid(format!("invalid IP address: {shown:?}"))
    })
}

fn reservation(reservation: &Reservation) -> Value {
    json!({"Address": reservation.address, "Name": reservation.holder})
}

fn lease(lease: &Lease) -> Value {
    json!({
        "Name": lease.name,
        "IPv4Address": lease.ipv4,
        "IPv6Address": lease.ipv6,
        "MacAddress": lease.mac.map(|mac| mac.to_string()),
    })
}
