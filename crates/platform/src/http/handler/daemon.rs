//! What daemons do: enroll, renew, and fetch what they go by.

use super::{Answer, Call, OpenCall, Reply};

pub(in crate::http) async fn enroll(call: OpenCall) -> Answer {
    let request = call.input.json()?;
    let bearer = call.input.bearer.as_ref();
    let enrolled = crate::enroll::enroll(call.app.platform(), &call.arrival, bearer, request).await?;
    Reply::ok(&enrolled).map(Reply::recorded)
}

pub(in crate::http) async fn renew(call: Call) -> Answer {
    let request = call.input.json()?;
    let renewed = crate::enroll::renew(call.app.platform(), &call.context, &call.access, request).await?;
    Reply::ok(&renewed).map(Reply::recorded)
}

pub(in crate::http) async fn snapshot(call: Call) -> Answer {
    call.input.nothing()?;
    Reply::ok(&crate::snapshot::snapshot(call.app.platform(), &call.context, &call.access).await?)
}
