//! Gateways and the projects they are mapped to.

use postern_domain::DaemonId;

use super::{Answer, Call, Reply};
use crate::enroll;
use crate::noun::{gateway, mapping};

pub(in crate::http) async fn create(call: Call) -> Answer {
    let request = call.input.json()?;
    Reply::created(&gateway::create(call.app.store(), &call.context, &call.access, request).await?)
}

pub(in crate::http) async fn list(call: Call) -> Answer {
    Reply::ok(&gateway::list(call.app.store(), &call.access, call.input.page()?).await?)
}

pub(in crate::http) async fn show(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    Reply::ok(&gateway::show(call.app.store(), &call.access, id).await?)
}

pub(in crate::http) async fn delete(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    gateway::delete(call.app.store(), &call.context, &call.access, id).await?;
    Ok(Reply::done())
}

pub(in crate::http) async fn create_token(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    let app = &call.app;
    let daemon = DaemonId::Gateway(id);
    let address = app.public_address();
    let token = enroll::create_ticket(app.platform(), &call.context, &call.access, daemon, address).await?;
    Reply::created(&token)
}

pub(in crate::http) async fn projects(call: Call) -> Answer {
    let id = call.input.id("id")?;
    Reply::ok(&mapping::list(call.app.store(), &call.access, id, call.input.page()?).await?)
}

pub(in crate::http) async fn map(call: Call) -> Answer {
    let pair = (call.input.id("id")?, call.input.id("project")?);
    call.input.nothing()?;
    mapping::add(call.app.store(), &call.context, &call.access, pair).await?;
    Ok(Reply::done())
}

pub(in crate::http) async fn unmap(call: Call) -> Answer {
    let pair = (call.input.id("id")?, call.input.id("project")?);
    call.input.nothing()?;
    mapping::remove(call.app.store(), &call.context, &call.access, pair).await?;
    Ok(Reply::done())
}
