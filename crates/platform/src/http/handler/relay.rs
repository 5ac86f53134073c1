//! Relays.

use postern_domain::DaemonId;

use super::{Answer, Call, Reply};
use crate::enroll;
use crate::noun::relay;

pub(in crate::http) async fn create(call: Call) -> Answer {
    let request = call.input.json()?;
    Reply::created(&relay::create(call.app.store(), &call.context, &call.access, request).await?)
}

pub(in crate::http) async fn list(call: Call) -> Answer {
    Reply::ok(&relay::list(call.app.store(), &call.access, call.input.page()?).await?)
}

pub(in crate::http) async fn show(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    Reply::ok(&relay::show(call.app.store(), &call.access, id).await?)
}

pub(in crate::http) async fn delete(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    relay::delete(call.app.store(), &call.context, &call.access, id).await?;
    Ok(Reply::done())
}

pub(in crate::http) async fn create_token(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    let app = &call.app;
    let daemon = DaemonId::Relay(id);
    let address = app.public_address();
    let token = enroll::create_ticket(app.platform(), &call.context, &call.access, daemon, address).await?;
    Reply::created(&token)
}
