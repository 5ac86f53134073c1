//! Sessions.

use super::{Answer, Call, Reply};
use crate::noun::session;

pub(in crate::http) async fn create(call: Call) -> Answer {
    let request = call.input.json()?;
    let granted = crate::session::create(call.app.platform(), &call.context, &call.access, request).await?;
    Reply::created(&granted)
}

pub(in crate::http) async fn list(call: Call) -> Answer {
    Reply::ok(&session::list(call.app.store(), &call.access, call.input.page()?).await?)
}

pub(in crate::http) async fn show(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    Reply::ok(&session::show(call.app.store(), &call.access, id).await?)
}

pub(in crate::http) async fn end(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    session::end(call.app.store(), &call.context, &call.access, id).await?;
    Ok(Reply::done())
}
