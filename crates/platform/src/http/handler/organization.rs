//! Organizations.

use super::{Answer, Call, Reply};
use crate::noun::organization;

pub(in crate::http) async fn create(call: Call) -> Answer {
    let request = call.input.json()?;
    Reply::created(&organization::create(call.app.platform(), &call.context, &call.access, request).await?)
}

pub(in crate::http) async fn list(call: Call) -> Answer {
    Reply::ok(&organization::list(call.app.store(), &call.access, call.input.page()?).await?)
}

pub(in crate::http) async fn show(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    Reply::ok(&organization::show(call.app.store(), &call.access, id).await?)
}

pub(in crate::http) async fn delete(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    organization::delete(call.app.platform(), &call.context, &call.access, id).await?;
    Ok(Reply::done())
}
