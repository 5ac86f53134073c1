//! Time, logins, and who one is.

use postern_api::{ServerTime, Whoami};

use super::{Answer, Call, OpenCall, Reply};
use crate::credential;

pub(in crate::http) async fn time(call: OpenCall) -> Answer {
    call.input.nothing()?;
    Reply::ok(&ServerTime {
        time: call.arrival.now,
        instance: call.app.platform().instance().id,
    })
}

pub(in crate::http) async fn universal(call: OpenCall) -> Answer {
    let login = call.input.json()?;
    let token = credential::universal_login(call.app.platform(), &call.arrival, login).await?;
    Reply::ok(&token).map(Reply::recorded)
}

pub(in crate::http) async fn password(call: OpenCall) -> Answer {
    let login = call.input.json()?;
    let token = credential::password_login(call.app.platform(), &call.arrival, login).await?;
    Reply::ok(&token).map(Reply::recorded)
}

pub(in crate::http) async fn statement(call: OpenCall) -> Answer {
    let login = call.input.json()?;
    let token = credential::statement_login(call.app.platform(), &call.arrival, login).await?;
    Reply::ok(&token).map(Reply::recorded)
}

pub(in crate::http) async fn whoami(call: Call) -> Answer {
    call.input.nothing()?;
    let context = call.context;
    Reply::ok(&Whoami {
        actor: context.actor,
        name: context.name,
        organization: context.organization,
        role: context.role,
        expires: context.token_expires,
    })
}
