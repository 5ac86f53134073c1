//! Projects and their members.

use super::{Answer, Call, Reply};
use crate::noun::{member, project};

pub(in crate::http) async fn create(call: Call) -> Answer {
    let request = call.input.json()?;
    Reply::created(&project::create(call.app.store(), &call.context, &call.access, request).await?)
}

pub(in crate::http) async fn list(call: Call) -> Answer {
    Reply::ok(&project::list(call.app.store(), &call.access, call.input.page()?).await?)
}

pub(in crate::http) async fn show(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    Reply::ok(&project::show(call.app.store(), &call.access, id).await?)
}

pub(in crate::http) async fn delete(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    project::delete(call.app.store(), &call.context, &call.access, id).await?;
    Ok(Reply::done())
}

pub(in crate::http) async fn members(call: Call) -> Answer {
    let id = call.input.id("id")?;
    Reply::ok(&member::list(call.app.store(), &call.access, id, call.input.page()?).await?)
}

pub(in crate::http) async fn add_member(call: Call) -> Answer {
    let pair = (call.input.id("id")?, call.input.id("identity")?);
    call.input.nothing()?;
    member::add(call.app.store(), &call.context, &call.access, pair).await?;
    Ok(Reply::done())
}

pub(in crate::http) async fn remove_member(call: Call) -> Answer {
    let pair = (call.input.id("id")?, call.input.id("identity")?);
    call.input.nothing()?;
    member::remove(call.app.store(), &call.context, &call.access, pair).await?;
    Ok(Reply::done())
}
