//! Authorities, their public parts.

use super::{Answer, Call, Reply};
use crate::noun::authority;

pub(in crate::http) async fn list(call: Call) -> Answer {
    Reply::ok(&authority::list(call.app.store(), &call.access, call.input.page()?).await?)
}

pub(in crate::http) async fn show(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    Reply::ok(&authority::show(call.app.store(), &call.access, id).await?)
}
