//! Machine identities and their client secrets.

use super::{Answer, Call, Reply};
use crate::noun::{client_secret, identity};

pub(in crate::http) async fn create(call: Call) -> Answer {
    let request = call.input.json()?;
    Reply::created(&identity::create(call.app.store(), &call.context, &call.access, request).await?)
}

pub(in crate::http) async fn list(call: Call) -> Answer {
    Reply::ok(&identity::list(call.app.store(), &call.access, call.input.page()?).await?)
}

pub(in crate::http) async fn show(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    Reply::ok(&identity::show(call.app.store(), &call.access, id).await?)
}

pub(in crate::http) async fn delete(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    identity::delete(call.app.store(), &call.context, &call.access, id).await?;
    Ok(Reply::done())
}

pub(in crate::http) async fn create_secret(call: Call) -> Answer {
    let id = call.input.id("id")?;
    call.input.nothing()?;
    Reply::created(&client_secret::create(call.app.store(), &call.context, &call.access, id).await?)
}

pub(in crate::http) async fn secrets(call: Call) -> Answer {
    let id = call.input.id("id")?;
    Reply::ok(&client_secret::list(call.app.store(), &call.access, id, call.input.page()?).await?)
}

pub(in crate::http) async fn delete_secret(call: Call) -> Answer {
    let pair = (call.input.id("id")?, call.input.id("secret")?);
    call.input.nothing()?;
    client_secret::delete(call.app.store(), &call.context, &call.access, pair).await?;
    Ok(Reply::done())
}
