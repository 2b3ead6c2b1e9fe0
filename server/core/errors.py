"""The catalogue of all errors that clients see, in one format (RFC 9457 problem details).

Raise `Problem("code", name=value)`; title and detail come from the catalogue in Chinese or English. Clients act on
codes, so a code is never renamed and never gets another meaning.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import Struct

Language = Literal["zh", "en"]
PROBLEM_MEDIA_TYPE = "application/problem+json"


class Entry(NamedTuple):
    status: int
    zh: str
    en: str
    zh_detail: str = ""
    en_detail: str = ""


CATALOGUE: Mapping[str, Entry] = {
    # the request itself
    "request.invalid": Entry(
        400, "请求内容有误", "The request is not valid", "请按所列位置修改。", "Correct the listed fields."
    ),
    "request.not_json": Entry(
        400,
        "不是有效的 JSON",
        "Not valid JSON",
        "内容可能在传输中被截断，请重发。",
        "The body may be truncated; send it again.",
    ),
    "request.too_large": Entry(
        413,
        "内容过大",
        "The request is too large",
        "最多 {limit_mb} MB。",
        "At most {limit_mb} MB.",
    ),
    "request.unsupported_media_type": Entry(
        415, "不支持的内容类型", "Content type not supported", "请使用 {required}。", "Send {required}."
    ),
    "request.method_not_allowed": Entry(405, "此地址不支持该方法", "Method not allowed here"),
    "request.not_found": Entry(404, "没有找到", "Not found"),
    "export.too_long": Entry(
        422,
        "列表太长，无法存为 Excel",
        "The list is too long for Excel",
        "最多 {most} 行；请存为 CSV，或缩小范围。",
        "At most {most} rows: save it as CSV, or filter the list.",
    ),
    "print.characters_missing": Entry(
        422,
        "打印字库中缺字",
        "The font for printing lacks characters",
        "{characters}（{numbers}）打印出来会是空框。请改用字库中有的字，姓名中的生僻字请手工填写这份材料。",
        "{characters} ({numbers}) would print as empty boxes. Use others, or fill a rare name in by hand.",
    ),
    "request.rate_limited": Entry(
        429,
        "请求过于频繁",
        "Too many attempts",
        "请在 {retry_after_s} 秒后再试。",
        "Try again in {retry_after_s} seconds.",
    ),
    "request.too_many_open": Entry(
        429,
        "同时进行的请求过多",
        "Too many requests at the same time",
        "请在 10 秒后再试。",
        "Try again in 10 seconds.",
    ),
    "request.too_slow": Entry(
        408,
        "请求发送过慢",
        "The request came too slowly",
        "请在网络较好时重试。",
        "Try again on a better network.",
    ),
    "request.idempotency_key_reused": Entry(
        409,
        "同一个幂等键用于不同内容",
        "This Idempotency-Key was used with different content",
        "请为新的操作换一个键。",
        "Use a new key for a new request.",
    ),
    # identity
    "auth.required": Entry(401, "请先登录", "Sign in first"),
    "auth.token_invalid": Entry(401, "登录凭证无效", "The access token is not valid", "请重新登录。", "Sign in again."),
    "auth.token_expired": Entry(
        401, "登录凭证已过期", "The access token has expired", "请刷新凭证。", "Refresh the token."
    ),
    "auth.link_invalid": Entry(
        410,
        "链接已失效",
        "This link no longer works",
        "链接只能使用一次，七天内有效；请向发给您的人再要一个。",
        "A link works once and for seven days; ask whoever sent it for a new one.",
    ),
    "auth.password_weak": Entry(422, "密码不够安全", "The password is too weak", "{why}", "{why_en}"),
    "staff.login_taken": Entry(
        409, "登录名已被使用", "This login is taken", "请换一个：{login}。", "Choose another: {login}."
    ),
    "staff.login_invalid": Entry(
        422,
        "登录名不合要求",
        "The login is not valid",
        "3 至 40 个小写字母、数字、点或横线，以字母或数字开头。",
        "3 to 40 small letters, digits, points or dashes, beginning with a letter or digit.",
    ),
    "staff.own_roles": Entry(
        403,
        "不能修改自己的账号权限",
        "Nobody changes their own account in this way",
        "请由另一位管理员办理。",
        "Another administrator must do this.",
    ),
    "staff.deputy_named": Entry(
        409,
        "此人已有代班安排",
        "This person has a deputy already",
        "先结束原来的代班，再重新安排。",
        "End that first, then name another.",
    ),
    "staff.deputy_away": Entry(
        409,
        "这些日子不能由此人代班",
        "This person can’t be a deputy on these days",
        "{name} 这些日子在休假，或正替别人代班。请换一位代班人，或改日期。",
        "{name} is on leave or stands in for somebody then. Choose another deputy, or other days.",
    ),
    "auth.device_ended": Entry(
        401,
        "此设备已退出登录",
        "This device is signed out",
        "请重新登录；未上传的数据仍在手机上。",
        "Sign in again; data that is not uploaded is still on the phone.",
    ),
    "auth.sign_in_failed": Entry(401, "用户名或密码不正确", "Wrong user name or password"),
    "auth.refresh_invalid": Entry(
        401, "刷新凭证无效", "The refresh token is not valid", "请重新登录。", "Sign in again."
    ),
    "auth.refresh_reused": Entry(
        401,
        "刷新凭证被重复使用，已为安全退出此设备",
        "A refresh token was used twice; the device was signed out for security",
        "请重新登录；如非本人操作，请告知管理员。",
        "Sign in again; tell your administrator if this was not you.",
    ),
    "auth.forbidden": Entry(
        403,
        "没有此项权限",
        "Not permitted",
        "此操作需要：{roles}。",
        "Requires one of these roles: {roles}.",
    ),
    "auth.step_up_required": Entry(
        403,
        "请先再次确认是您本人",
        "Confirm first that it is you",
        "再次输入密码（和动态码）后继续；请更新应用到新版本。",
        "Enter your password (and code) again, then go on; update the app if it does not ask.",
    ),
    "auth.step_up_failed": Entry(
        403, "密码或动态码不正确", "Wrong password or code", "请核对后再试。", "Check them and try again."
    ),
    "auth.second_factor_required": Entry(
        401,
        "还需要动态码",
        "A code is needed too",
        "输入验证器应用上的六位动态码，或一个恢复码。",
        "Enter the six digits of your authenticator app, or a recovery code.",
    ),
    "auth.second_factor_wrong": Entry(
        401,
        "动态码不正确或已用过",
        "The code is wrong or was used before",
        "等下一个动态码出现后再试。",
        "Wait for the next code and try again.",
    ),
    "auth.second_factor_set": Entry(
        409,
        "已经设置了动态码验证",
        "A second factor is set already",
        "要换手机，请先停用再重新设置。",
        "To move it to another phone, remove it first.",
    ),
    "auth.second_factor_due": Entry(
        403,
        "本地区要求先设置动态码验证",
        "This area requires a second factor first",
        "请在工作台的“账号”页面设置。",
        "Set it on the account page of the desk.",
    ),
    "auth.no_other_sign_in": Entry(
        409,
        "此账号只能用微信登录，不能取消关联",
        "WeChat is this account's only way to sign in",
        "请先设置密码。",
        "Set a password first.",
    ),
    "auth.resident_sign_in_failed": Entry(
        401,
        "信息不匹配，没有登录",
        "The details do not match",
        "请核对身份证号、申请编号和查询码（或验证码）。验证码五分钟内有效，只能用一次。",
        "Check ID number, application number and PIN or code. A code works once, for five minutes.",
    ),
    "sms.not_set_up": Entry(
        404,
        "本系统未开通短信验证码",
        "Codes by text message are not set up here",
        "请用查询凭条上的查询码登录，或到乡镇（街道）窗口办理。",
        "Use the PIN of your slip, or ask at the town office.",
    ),
    "auth.binding_failed": Entry(
        404,
        "身份证号与申请编号不匹配",
        "ID number and application number do not match",
        "请核对后再试。",
        "Check both numbers and try again.",
    ),
    "binding.code_invalid": Entry(
        404,
        "绑定码不对或已失效",
        "That code is wrong or has ended",
        "请对方在自己手机上重新显示绑定码（十分钟内有效，只能用一次）。",
        "Let the person show a new code on their phone. It works once, within ten minutes.",
    ),
    "binding.another_household": Entry(
        409,
        "这个账号已经绑定了另一户",
        "This account already follows another household",
        "窗口绑定的账号只能看一户；亲属要看另一户的，请用告知单上的编号和查询码自己绑定。",
        "An account bound at the counter follows one household. Relatives bind with the number and PIN of the slip.",
    ),
    "binding.not_a_member": Entry(
        409,
        "这一户没有这个身份证号的成员",
        "No member of this household has that ID number",
        "请核对身份证；人不在册的，先登记家庭成员。",
        "Check the ID card. Whoever is missing has to be written into the household first.",
    ),
    "binding.no_application": Entry(
        409,
        "这一户还没有申请",
        "This household has no application yet",
        "先受理申请，再绑定。",
        "Take an application first, then bind.",
    ),
    "auth.not_bound": Entry(
        403,
        "尚未绑定申请",
        "No application is bound to this account",
        "请先用身份证号和申请编号绑定。",
        "Bind an ID number and an application number first.",
    ),
    "auth.wechat_not_linked": Entry(
        404,
        "此微信尚未关联工作人员账号",
        "This WeChat account is not linked to a staff account",
        "请先用用户名和密码登录，再关联微信。",
        "Sign in with user name and password, then link WeChat.",
    ),
    "auth.wechat_linked_elsewhere": Entry(
        409, "此微信已关联另一账号", "This WeChat account is linked to another account"
    ),
    "wechat.code_invalid": Entry(
        400,
        "微信登录码无效或已使用",
        "The WeChat code is invalid or was used before",
        "请重新调用 wx.login。",
        "Call wx.login again.",
    ),
    "wechat.web_code_invalid": Entry(
        400,
        "微信授权已失效或已使用",
        "WeChat's consent has expired or was used before",
        "请重新点“微信登录”。",
        "Begin the sign-in with WeChat again.",
    ),
    "wechat.state_invalid": Entry(
        400,
        "这次微信登录不是在本机开始的",
        "This sign-in was not begun in this browser",
        "请在本机重新点“微信登录”；不要打开别人发来的登录链接。",
        "Begin it here again, and don't open a sign-in link that somebody sent you.",
    ),
    "wechat.state_expired": Entry(
        400,
        "微信登录超过五分钟，已失效",
        "The sign-in with WeChat took more than five minutes",
        "请重新点“微信登录”。",
        "Begin it again.",
    ),
    "wechat.state_used": Entry(
        409,
        "这次微信登录已经用过",
        "This sign-in with WeChat was used before",
        "请重新点“微信登录”。",
        "Begin it again.",
    ),
    "wechat.declined": Entry(
        403,
        "您没有同意微信授权",
        "WeChat's consent was declined",
        "不登录也可以凭申请编号和查询码查进度。",
        "Without it you can look an application up by its number and PIN.",
    ),
    "wechat.snapshot": Entry(
        403,
        "当前是微信的快照页，不能登录",
        "WeChat shows a snapshot of this page, which can't sign in",
        "请点屏幕下方的“使用完整服务”，再登录。",
        "Tap the button for the full service at the bottom, then sign in.",
    ),
    "wechat.web_not_set_up": Entry(
        404,
        "本系统未开通微信网页登录",
        "Sign-in with WeChat on the web is not set up here",
        "请用其他方式登录。",
        "Sign in another way.",
    ),
    "wechat.too_many": Entry(
        429, "微信登录过于频繁", "Too many WeChat sign-ins", "请一分钟后再试。", "Try again in a minute."
    ),
    "wechat.blocked": Entry(403, "微信判定此账号有风险", "WeChat blocks this account as high-risk"),
    "wechat.unavailable": Entry(503, "暂时连接不上微信", "WeChat can't be reached", "请稍后再试。", "Try again later."),
    "qr.invalid": Entry(
        404,
        "这个登录二维码不是本系统的，或已清除",
        "This QR code is none of ours, or is gone",
        "请在要登录的电脑上重新打开二维码。",
        "Show a new code on the computer that is to be signed in.",
    ),
    "qr.ended": Entry(
        409,
        "这个登录二维码已用过或已失效",
        "This QR code was used or has ended",
        "二维码两分钟内有效，只能用一次。请重新打开。",
        "A code works once, for two minutes. Show a new one.",
    ),
    "qr.number_wrong": Entry(
        400,
        "数字不对，二维码已作废",
        "The number is wrong, and the code has ended",
        "请在要登录的电脑上重新打开二维码。不要扫别人发来的登录二维码。",
        "Show a new code on the computer. Never scan a sign-in code that somebody sent you.",
    ),
    "privacy.member_unclear": Entry(
        409,
        "请选择这是谁的个人信息",
        "Say whose data it is about",
        "此账号绑定了家庭中的多名成员。",
        "This account is bound as several members of the household.",
    ),
    "privacy.request_open": Entry(
        409,
        "同样的请求正在办理，请等待答复",
        "A request of this kind is waiting for its answer",
    ),
    "message.no_template": Entry(
        404,
        "本地区没有为此类消息设置模板",
        "The area has no template for this message",
        "请先在规则里填写模板。",
        "Write it in the settings first.",
    ),
    # resources
    "thing.not_found": Entry(
        404,
        "没有找到，或不在您的范围内",
        "Not found, or outside your area",
    ),
    # sync
    "sync.collection_unknown": Entry(404, "没有此同步集合", "No such collection"),
    "sync.schema_version_gone": Entry(
        426,
        "应用版本过旧，请升级",
        "This app version is no longer supported; update it",
        "服务器使用第 {served} 版；已记录的数据会在升级后上传。",
        "The server uses version {served}; recorded data is sent after the update.",
    ),
    "sync.collection_read_only": Entry(405, "此集合只读", "This collection is read-only"),
    "sync.batch_too_long": Entry(
        413, "一次推送的条数过多", "Too many rows in one push", "最多 {limit} 条。", "At most {limit} rows."
    ),
    "sync.page_too_long": Entry(
        400,
        "一次拉取的条数超出范围",
        "The requested page is too long or empty",
        "1 至 {limit} 条。",
        "Request 1 to {limit} rows.",
    ),
    "sync.digest_mismatch": Entry(
        412,
        "手机与服务器的数据不一致，请重新加载",
        "The phone's data differs from the server's; load the collection again",
        "重新加载集合 {collection}；未上传的数据保留在手机上，会照常上传。",
        "Load {collection} from the start; data that is not uploaded stays on the phone and is sent as usual.",
    ),
    "caseload.nothing_named": Entry(
        422,
        "请指明家庭或村（社区），二者选一",
        "Name either households or a village",
    ),
    "visit.not_submitted": Entry(
        409,
        "这次走访还没有提交",
        "The visit is not submitted",
        "没有提交的走访，在手机上放弃即可。",
        "Discard an unsubmitted visit on the phone.",
    ),
    "visit.in_review": Entry(
        409,
        "已经开始审核，不能自行作废",
        "A reviewer has begun",
        "请联系审核人员，由办公室写明原因后作废。",
        "Ask the office: an officer can void it with a reason.",
    ),
    "visit.compared": Entry(409, "抽查对比已完成，不能作废", "The spot check is compared and final"),
    "visit.voided": Entry(409, "这次走访已作废", "The visit was voided"),
    "visit.withdrawal_waits": Entry(
        409,
        "须由两人办理",
        "This takes two people",
        "采用这次走访的查实数后已作出发放决定。您的意见已记录，由另一人再次办理后生效。",
        "A payment was decided on since its figures were adopted. Your reason is kept; another person does it again.",
    ),
    "visit.void_takes_back": Entry(
        409,
        "作废会收回已采用的查实数",
        "This would take adopted figures back",
        "登记已采用这次走访的 {count} 项查实数，作废后恢复原登记，金额可能要重新测算。确认后再作废。",
        "The register has adopted {count} figures of this visit. They go back to what stood before, and the amount may "
        "have to be calculated anew. Confirm to go on.",
    ),
    "order.nothing_named": Entry(
        422,
        "请只用一种方式指明家庭：名单、地区或户编号",
        "Name the homes in one way: by list, by area or by number",
    ),
    "order.too_many": Entry(
        422,
        "一次安排的户数过多",
        "Too many homes for one order",
        "一次最多 {most} 户，请缩小范围。",
        "At most {most} homes: choose a smaller area.",
    ),
    "order.spent": Entry(409, "这个编号已用于另一项安排", "This id belongs to another order"),
    # quarantined rows: the response to a push carries the code in the row
    "row.invalid": Entry(
        422, "记录内容有误", "The record is not valid", "已保存，待改正。", "It is stored; correct it."
    ),
    "row.id_missing": Entry(422, "记录没有编号", "The record has no id"),
    "row.number_not_portable": Entry(
        422, "数字超出可表示范围", "A number is outside the range that JSON represents exactly"
    ),
    "row.refused_by_rule": Entry(422, "记录违反数据规则", "The record violates a data constraint"),
    "visit.household_unknown": Entry(
        422,
        "没有此家庭，或它不由您负责：请让办公室先把这户分派给您",
        "No such household, or it is not yours: ask the office to give you this home first",
    ),
    "visit.one_investigator": Entry(
        422,
        "入户调查至少需要两名调查人员",
        "A visit needs at least two investigators",
        "请填写两名不同的调查人员，双方各自确认。",
        "Name two different investigators; each attests on their own phone.",
    ),
    "visit.author_not_investigator": Entry(
        422, "提交人必须是调查人员之一", "The person who submits must be one of the investigators"
    ),
    "visit.investigator_unknown": Entry(422, "调查人员不存在或已停用", "An investigator is unknown or disabled"),
    "visit.fix_missing": Entry(
        422,
        "缺少开始或结束定位",
        "The start or end position is missing",
        "入户走访的开始和结束都需要定位。",
        "A visit at the home requires a position at its start and end.",
    ),
    "visit.remote_without_reason": Entry(
        422,
        "电话或视频走访需写明紧急原因",
        "A visit by phone or video requires the emergency that justifies it",
    ),
    "visit.checklist_unknown": Entry(422, "没有此走访表版本", "No such checklist version"),
    "visit.answers_invalid": Entry(
        422,
        "答案不完整或有误",
        "Answers are missing or invalid",
        "请按所列位置修改。",
        "Correct the listed fields.",
    ),
    "visit.paper_spot_check": Entry(
        422,
        "抽查不能用纸质表补录",
        "A spot check can't be entered from paper",
        "抽查由抽查人员用手机进行。",
        "It is made by its team, with their phones.",
    ),
    "visit.photo_listed_twice": Entry(422, "同一照片列出两次", "A photo is listed twice"),
    "visit.frozen": Entry(
        409,
        "走访已提交，不能直接修改",
        "A submitted visit can't be changed",
        "请以补正方式提交更改。",
        "Submit a correction as an amendment.",
    ),
    "visit.closed": Entry(
        409,
        "走访已有处理结果，不能补正",
        "The visit is decided and can't be amended",
        "如需更正，请联系审核人员退回或重新走访。",
        "Ask the reviewer to return it, or visit again.",
    ),
    "visit.amends_the_record": Entry(
        409,
        "补正不能更改走访现场的记录",
        "An amendment can't change what was recorded during the visit",
        "不能更改：{fields}。时间、定位和走访人有误的，请重新走访。",
        "Can't be changed: {fields}. If times, positions or investigators are wrong, visit again.",
    ),
    "visit.not_yours": Entry(404, "没有找到，或不在您的范围内", "Not found, or outside your area"),
    "attestation.invalid": Entry(422, "确认记录与走访不符", "The attestation does not match the visit"),
    "record.area_unknown": Entry(
        422,
        "没有此村（社区），或它不由您负责",
        "No such village, or it is not yours",
        "请选择您负责的村（社区）；如刚调整分工，请先联系办公室。",
        "Choose a village of yours; if duties have changed, ask the office first.",
    ),
    "record.subject_unknown": Entry(
        422,
        "没有写明这项工作针对什么，或它不由您负责",
        "The record does not say what it is about, or that is not yours",
    ),
    "task.assignee_unknown": Entry(422, "此人不在该村（社区）工作", "This person does not work in the village"),
    "record.time_missing": Entry(422, "缺少开始时间", "The time at which it began is missing"),
    "record.fix_missing": Entry(
        422,
        "缺少定位",
        "The position is missing",
        "没有定位的，请写明原因。",
        "Without one, give the reason.",
    ),
    "record.frozen": Entry(
        409,
        "记录已提交，不能直接修改",
        "A submitted record can't be changed",
        "请以补正方式提交更改。",
        "Submit a correction as an amendment.",
    ),
    "record.amends_the_record": Entry(
        409,
        "补正不能更改现场的记录",
        "An amendment can't change what was recorded on the spot",
        "不能更改：{fields}。时间、定位有误的，请另记一次。",
        "Can't be changed: {fields}. If times or positions are wrong, record it again.",
    ),
    "proposal.decided": Entry(409, "更正申请已有处理结果", "The proposal is already decided"),
    "evidence.frozen": Entry(
        409, "照片登记后不能更改", "A photo's manifest can't be changed after the photo is uploaded"
    ),
    # photos
    "photo.hash_mismatch": Entry(
        422,
        "照片与登记的校验值不符",
        "The photo is not the announced one",
        "应为 {expected}，收到 {received}；已另存，请重传原照片。",
        "Expected {expected}, received {received}; it is stored separately, send the original again.",
    ),
    "photo.not_an_image": Entry(422, "不是图片文件", "Not an image"),
    "photo.type_not_supported": Entry(
        422,
        "不支持的图片格式",
        "Image type not supported",
        "请使用 JPEG、PNG、WebP 或 HEIC。",
        "Send JPEG, PNG, WebP or HEIC.",
    ),
    "photo.too_many_bytes": Entry(413, "照片过大", "The photo is too large"),
    "photo.too_many_pixels": Entry(422, "照片像素过多", "The photo has too many pixels"),
    "photo.truncated": Entry(422, "照片不完整", "The photo is truncated"),
    "photo.empty": Entry(
        422, "照片为空", "The photo is empty", "文件有 0 字节，请重新拍摄。", "It has 0 bytes; take it again."
    ),
    "photo.broken": Entry(422, "照片无法解码", "The photo can't be decoded"),
    "photo.animated": Entry(422, "不接受动图", "Animated images are not accepted"),
    "evidence.subject_unknown": Entry(
        422,
        "照片没有写明属于哪次走访或哪项工作",
        "The photo does not say which visit or which record it belongs to",
    ),
    "evidence.visit_of_another": Entry(
        403,
        "此走访由他人进行，不能为其登记照片",
        "The visit is another's: its photos are announced by those who took part in it",
    ),
    "evidence.visit_not_submitted": Entry(
        409, "走访尚未提交，没有证据包", "The visit is not submitted and has no evidence bundle"
    ),
    "photo.not_ready": Entry(409, "照片尚未处理完成", "The photo is not processed yet"),
    "photo.erased": Entry(
        410,
        "照片已按保存期限删除",
        "The photo was deleted at the end of its retention period",
        "走访的其他内容仍在；证据包说明删除的依据和时间。",
        "The rest of the visit remains; the evidence bundle states the rule and the time of deletion.",
    ),
    "upload.version_unsupported": Entry(
        412,
        "不支持此 tus 版本",
        "This tus version is not supported",
        "请使用 Tus-Resumable: 1.0.0。",
        "Send Tus-Resumable: 1.0.0.",
    ),
    "upload.header_invalid": Entry(
        400,
        "上传请求头有误",
        "An upload header is missing or invalid",
        "{header}:{required}。",
        "{header}: {required}.",
    ),
    "upload.length_deferred": Entry(
        400,
        "上传时须说明长度",
        "The length is required when the upload is created",
        "照片登记时已知大小，请发送 Upload-Length。",
        "The size of an announced photo is known: send Upload-Length.",
    ),
    "upload.concat_unsupported": Entry(
        400,
        "不支持分段并行上传",
        "Parallel uploads are not supported",
        "请去掉 Upload-Concat，按顺序上传整张照片（tus-js-client：parallelUploads 为 1）。",
        "Leave out Upload-Concat and upload the photo in order (tus-js-client: parallelUploads 1).",
    ),
    "upload.size_differs": Entry(
        409,
        "长度与登记的大小不符",
        "The length differs from the announced size",
        "登记为 {announced} 字节，收到 {received}。",
        "Announced {announced} bytes, received {received}.",
    ),
    "upload.offset_differs": Entry(
        409,
        "续传位置不符",
        "The upload has a different offset",
        "已收到 {offset} 字节，请用 HEAD 查询后续传。",
        "The offset is {offset}; query it with HEAD and resume from there.",
    ),
    "upload.busy": Entry(
        423, "此上传正在接收另一请求", "Another request is writing to this upload", "请稍后重试。", "Try again later."
    ),
    "upload.gone": Entry(410, "此上传已结束", "This upload has ended", "请重新开始上传。", "Start a new upload."),
    "upload.too_long": Entry(413, "内容超出所说的长度", "The body exceeds Upload-Length"),
    "upload.checksum_failed": Entry(
        460,
        "数据块校验不符",
        "The chunk's checksum does not match",
        "此块未保存，请重发。",
        "The chunk was not stored; send it again.",
    ),
    "upload.visit_submitted": Entry(
        409, "走访已提交，不能撤销上传", "The visit is submitted; its uploads can't be cancelled"
    ),
    "upload.nothing_put": Entry(
        409,
        "存储中没有收到照片",
        "The photo is not in the store",
        "请先取得链接并上传。",
        "Request a link and upload the photo to it first.",
    ),
    "store.unavailable": Entry(
        503, "照片存储暂不可用", "The photo store can't be reached", "请稍后重试。", "Try again later."
    ),
    # review
    "review.queue_empty": Entry(404, "没有待审核的走访", "No visit is waiting for review"),
    "review.claimed_by_other": Entry(
        409,
        "已由他人领取",
        "Another reviewer has claimed the visit",
        "{holder} 正在审核。",
        "{holder} is reviewing it.",
    ),
    "review.not_claimed": Entry(409, "请先领取", "Claim the visit first"),
    "review.own_visit": Entry(
        403, "不能审核自己参与的走访或对它的抽查", "You can't decide on a visit that you made, or on its spot check"
    ),
    "review.amended": Entry(
        409,
        "走访正在补正",
        "The visit is being amended",
        "走访人已提交补正；资料齐全后会重新进入队列。",
        "The author has submitted a correction; the visit returns to the queue when it is complete.",
    ),
    "review.decided": Entry(
        409,
        "已有审核结论",
        "The visit is already decided",
        "{decided_by} 已作出结论：{outcome}。",
        "{decided_by} decided: {outcome}.",
    ),
    "review.reason_required": Entry(422, "请写明理由", "A reason is required"),
    "review.findings_not_judged": Entry(
        409,
        "还有疑点未判断，不能通过",
        "Findings must be judged before the visit is accepted",
        "还有 {count} 条疑点须先判断属实或排除。",
        "{count} findings must be upheld or dismissed first.",
    ),
    "review.finding_unknown": Entry(422, "疑点不属于此走访", "A finding does not belong to this visit"),
    "review.relative": Entry(
        403, "该家庭备案了与您同名的近亲属", "The household has declared a close relative on the staff with your name"
    ),
    "review.undo_too_late": Entry(
        409,
        "已超过撤回时限",
        "The decision can no longer be undone",
        "结论作出 {seconds} 秒内可以撤回。",
        "A decision can be undone for {seconds} seconds.",
    ),
    "review.has_findings": Entry(
        409, "此走访有疑点，不能批量通过", "The visit has findings and can't be accepted in bulk"
    ),
    "review.holder_unfit": Entry(
        422,
        "不能移交给此人",
        "The visit can't be handed over to this person",
        "对方须有此区域的审核权限，且未参与此走访。",
        "They must be a reviewer of this area and must not have taken part in the visit.",
    ),
    "review.blind": Entry(
        403,
        "您正在抽查此家庭，完成前不能查看首次走访",
        "You are spot-checking this household and can see the first visit only afterwards",
    ),
    "review.not_decided": Entry(409, "此走访尚无审核结论", "The visit is not decided"),
    "spot_check.drawn": Entry(
        409,
        "此计划已抽取样本",
        "The plan's sample is already drawn",
        "每个计划只抽取一次。",
        "Each plan draws one sample.",
    ),
    "spot_check.team_unfit": Entry(
        422,
        "不能指派此组",
        "This team can't be assigned",
        "须为两名不同的在岗人员，负责此区域，未参加也未查看首次走访，且不是该户的近亲属。",
        "Name two different active members of this area's staff who neither made nor saw the first visit and are no "
        "close relatives of the household.",
    ),
    "spot_check.not_open": Entry(409, "此抽查已指派或已完成", "The spot check is already assigned or done"),
    # cases
    "case.not_now": Entry(
        409,
        "当前环节不能进行此操作",
        "Not possible at this stage",
        "案件现处于：{state}。",
        "The stage of the case is: {state}.",
    ),
    "case.closed": Entry(409, "案件已办结", "The case is closed", "结果：{state}。", "Its result is: {state}."),
    "case.suspended": Entry(409, "案件已暂停办理", "The case is suspended", "请先恢复办理。", "Resume it first."),
    "case.changed": Entry(
        412,
        "案件已被他人更改",
        "Someone else has changed the case",
        "{by} 已办理：{step}。请刷新后再操作。",
        "{by} has changed it meanwhile. Reload the case and try again.",
    ),
    "case.own_relative": Entry(
        403,
        "近亲属案件须回避",
        "Staff must not act on a close relative's case",
        "请由其他工作人员办理。",
        "Another officer must act on it.",
    ),
    "case.reason_required": Entry(422, "请写明理由", "A reason is required"),
    "case.papers_missing": Entry(422, "材料不齐", "Papers are missing", "缺：{papers}。", "Missing: {papers_en}."),
    "case.papers_complete": Entry(409, "材料已齐，无需补正", "No papers are missing"),
    "case.paper_unknown": Entry(422, "此申请不需要该材料", "This application does not require this paper"),
    "case.paper_photos_full": Entry(
        409, "该材料的照片已够多", "This paper has the maximum number of photos", "最多 {most} 张。", "At most {most}."
    ),
    "case.consent_missing": Entry(
        422, "缺少核对授权", "No consent to the cross-check", "请先录入授权书。", "Record the consent first."
    ),
    "case.amount_missing": Entry(
        422, "尚无有效的保障金测算", "There is no valid calculation of the amount", "请先测算。", "Calculate it first."
    ),
    "case.amount_unchanged": Entry(
        409, "金额没有变化", "The amount is unchanged", "请先按新情况重新测算。", "Recalculate it first."
    ),
    "grace.not_calculated": Entry(
        409,
        "请先重新测算",
        "Calculate first",
        "须有渐退期满当月起、金额与现发一致的测算；金额不同的，请调整或停发。",
        "It takes a calculation from that month on that gives what is paid; for another amount, change or stop it.",
    ),
    "change_return.not_now": Entry(
        409,
        "月报现在不能办理此步骤",
        "Not possible now",
        "当月结束后上报；已上报的退回后才能重报。状态：{state}。",
        "It is sent once its month has ended, and again after it came back. Its state is {state}.",
    ),
    "change.decided": Entry(409, "该变化报告已有处理结果", "The report is already decided"),
    "case.visit_differs": Entry(
        422,
        "走访查实或核对的收入与测算不符",
        "A visit or a cross-check found other incomes than the calculation uses",
        "人均每月相差 {difference}，超过 {tolerance}。请更正收入后重新测算，或写明理由并由另一人同意。",
        "They differ by {difference} a head and month, over {tolerance}. Correct the incomes and calculate again, or "
        "write a reason that another person approves.",
    ),
    "case.no_difference": Entry(
        409, "走访和核对与测算相符，无需说明", "Visit and cross-check agree with the calculation: nothing to explain"
    ),
    "case.difference_explained": Entry(
        409,
        "该差异已有说明",
        "There is a reason for this difference already",
        "请由另一人同意。",
        "Another person may approve it.",
    ),
    "case.second_person": Entry(
        403,
        "须由另一人同意",
        "Another person must approve this",
        "提出或写说明的人不能自己同意。",
        "Not the person who proposed or wrote it.",
    ),
    "case.proposal_open": Entry(
        409,
        "已有待决定的拟办意见",
        "A proposal waits for a decision already",
        "请由另一人决定，或先不予采纳。",
        "Another person decides it, or it is put aside first.",
    ),
    "case.proposal_missing": Entry(
        409,
        "没有待决定的拟办意见",
        "No such proposal waits",
        "调整金额、停发和恢复保障由一人提出、另一人决定。",
        "One person proposes a change, a stop or a return, another decides it.",
    ),
    "case.proposal_outdated": Entry(
        409,
        "提出后已重新测算",
        "The amount was calculated again since",
        "请不予采纳，再按新的测算提出。",
        "Put the proposal aside and propose by the new calculation.",
    ),
    "case.come_back_closed": Entry(
        409,
        "不能不经申请恢复保障",
        "The household may not come back without an application",
        "本地不允许，或停发后已过规定的月数。请重新申请。",
        "The area does not allow it, or its months after the stop are over. Apply anew.",
    ),
    "found_figure.not_current": Entry(
        409,
        "该查实数已不作数",
        "This figure does not count any more",
        "已有后来的走访，或该走访不再通过。请刷新。",
        "A later visit found another one, or its visit is not accepted any more. Reload.",
    ),
    "found_figure.decided": Entry(409, "该查实数已有处理", "The figure is already adopted or declined"),
    "found_figure.total_adopted": Entry(
        409,
        "该项收入已采用全家总数",
        "The household's total of this income is adopted",
        "请先在家庭档案中改为按成员登记，再采用成员的查实数。",
        "Record it by member in the register first.",
    ),
    "case.standard_missing": Entry(
        422,
        "该地该月没有保障标准",
        "No standard is in effect in this area and month",
        "月份：{month}。",
        "Month: {month}.",
    ),
    "case.hearing_required": Entry(422, "本地规定须先民主评议", "This area requires a hearing first"),
    "case.hearing_failed": Entry(422, "民主评议未通过", "The hearing did not approve the case"),
    "case.county_visit_missing": Entry(
        422,
        "须由县级入户核查",
        "The county office must visit the household",
        "近亲属备案或有举报的案件，县级须先入户。",
        "The law requires it where a close relative is on the staff or a complaint was made.",
    ),
    "case.cross_check_missing": Entry(422, "尚未核对经济状况", "The cross-check is not done"),
    "case.programme_missing": Entry(
        422,
        "城乡类别未确认",
        "Urban or rural is not confirmed",
        "请先确认城市或农村低保，再测算。",
        "Confirm the programme first.",
    ),
    "case.programme_same": Entry(409, "城乡类别没有变化", "The programme is the same"),
    "case.programme_changed": Entry(
        409,
        "城乡类别已变，测算未更新",
        "The calculation used the other programme",
        "请按现在的城乡类别重新测算。",
        "Calculate again by the programme of now.",
    ),
    "case.cross_check_requested": Entry(409, "已提请核对，尚未开始", "The cross-check is requested and has not begun"),
    "case.survey_not_accepted": Entry(
        409,
        "入户调查未通过审核",
        "The visit of the survey is not accepted",
        "该走访已退回重新审核或正在补正，通过后再办理。",
        "It was reopened or is being amended. Go on once it is accepted again.",
    ),
    "case.extended_already": Entry(409, "办理期限只能延长一次", "The time limit can be extended only once"),
    "case.open_already": Entry(
        409, "该户已有在办申请", "The household has an open application", "编号 {number}。", "Number {number}."
    ),
    "case.granted_already": Entry(
        409,
        "该户正在享受低保",
        "The household already receives dibao",
        "编号 {number}。家庭情况有变化的，请在原案件中变更；停发后可重新申请。",
        "Number {number}. Record changes in that case; the household can apply again after the payment is stopped.",
    ),
    "case.lookup_failed": Entry(
        404,
        "没有相符的申请",
        "No matching application",
        "请核对申请编号和查询凭条上的查询码；没有凭条的，请到乡镇（街道）窗口打印。",
        "Check the application number and the PIN on the slip. Without a slip, ask the town office to print it.",
    ),
    "household.changed": Entry(412, "家庭信息已被他人更改", "Someone else has changed the household", "请刷新后再改。"),
    "household.id_checks_spent": Entry(
        429,
        "今天的核对次数已用完",
        "No more ID number checks today",
        "每人每天最多核对 {limit} 次，明天再试。",
        "A person may check {limit} numbers a day. Try again tomorrow.",
    ),
    "household.member_bound": Entry(
        409,
        "该成员已绑定账号，不能移除",
        "A member with a bound account can't be removed",
        "请先解除绑定。",
        "End the binding first.",
    ),
    "reveal.limit_reached": Entry(
        429,
        "今天可查看的完整号码已用完",
        "You have revealed as many numbers as a day allows",
        "每人每天最多 {most} 个。需要更多时请由县民政局调整规则。",
        "At most {most} a person and day. The county office can change the setting.",
    ),
    "household.member_receives": Entry(
        409,
        "有成员已在另一户享受低保，不能确认",
        "A member already receives in another household: the case can't be granted",
        "请向县民政局核实该成员的户籍和待遇。",
        "Have the county office find out where this member receives.",
    ),
    "area.change_waiting": Entry(
        409,
        "该村已有待确认或待生效的调整",
        "A change of this village waits to be confirmed, or for its day",
        "请先处理该调整。",
        "Decide it first, or wait for its day.",
    ),
    "area.second_person": Entry(403, "须由另一人确认", "Another person must confirm this"),
    "package.second_person": Entry(
        403, "导出全部数据须由另一人确认", "Another person must release an export of everything"
    ),
    "package.county_officer": Entry(
        403,
        "导出全部数据，两人中至少一人须是本地区的县级经办人员",
        "One of the two people must be a county officer of the area",
        "请由县级经办人员提出或确认。",
        "Have a county officer propose or release it.",
    ),
    "package.made_by_other": Entry(
        403,
        "两人之一的账号、岗位或登录链接是另一人给的，不能由这两人导出",
        "One of the two has made the other's account, role or sign-in link",
        "请由另一人确认。",
        "Have somebody else release it.",
    ),
    "package.key_differs": Entry(
        409,
        "公钥最后 16 位不符",
        "These are not the last letters of the key of this export",
        "请向县里持有私钥的人当面或电话核对；仍不符的，不要同意。",
        "Compare it with who holds the county's private key, face to face or by telephone; if it still differs, turn "
        "the export down.",
    ),
    "package.decided": Entry(409, "该导出已有处理结果", "The export is already decided"),
    "package.not_there": Entry(
        409,
        "数据包还没有写好，或已到期删除",
        "The package is not written yet, or was removed after its days",
        "请稍后再看；到期后须重新提出。",
        "Look again later; after its days propose it anew.",
    ),
    "household.merged": Entry(
        409,
        "该户已并入另一户",
        "This household went into another",
        "请在保留的一户上办理。",
        "Act on the household that was kept.",
    ),
    "merge.receives": Entry(
        409,
        "要并入的一户正在申请或享受低保",
        "The household to be merged away applies or receives",
        "请保留这一户；两户都在享受的，先按程序停发其中一户。",
        "Keep that one; where both receive, stop one of them by its case first.",
    ),
    "merge.proposals_wait": Entry(
        409,
        "要并入的一户还有待审核的更正申请",
        "The household to be merged away has proposals that wait",
        "请先处理更正申请。",
        "Decide them first.",
    ),
    "merge.waiting": Entry(
        409,
        "其中一户已有待确认的合并",
        "A merge of one of these households waits for its second person",
        "请先处理该合并。",
        "Decide it first.",
    ),
    "merge.second_person": Entry(
        403,
        "须由另一人确认",
        "Another person must do this",
        "提出人不能自己确认，确认人不能自己撤销。",
        "Nobody confirms their own proposal or undoes their own confirmation.",
    ),
    "merge.not_merged": Entry(409, "该合并未生效，不能撤销", "This merge is not in effect and can't be undone"),
    "merge.acted_upon": Entry(
        409,
        "合并后已有人办理过，不能撤销",
        "Somebody has acted on the household since, so the merge can't be undone",
        "请在家庭档案中更正。",
        "Correct the household's record.",
    ),
    "household.member_known": Entry(409, "该成员已在另一户申请", "A member is in another household's application"),
    "case.nothing_to_check": Entry(
        409,
        "没有待核对的申请",
        "Nothing to cross-check",
        "需已受理且有授权。",
        "Only accepted cases with consent are cross-checked.",
    ),
    "case.check_answered": Entry(
        409,
        "该批次的结果已被采用，不能替换",
        "Somebody has acted on this batch's answer, so it can't be replaced",
        "已登记住户意见，或案件已据此办理。",
        "An objection was recorded, or a case has gone on since.",
    ),
    "case.proof_settled": Entry(
        409,
        "该证明已收到或已注明不需提交",
        "This proof was received, or closed with a reason",
        "请刷新后再看。",
        "Reload.",
    ),
    "case.proof_day": Entry(
        422,
        "收到日期不在通知之后、今天之前",
        "The day is before it was asked for, or to come",
        "请填写实际收到的日期。",
        "Enter the day on which it was received.",
    ),
    "case.check_nothing_due": Entry(
        409, "这条核对没有需要办理的差异", "Nothing of this cross-check waits to be looked into"
    ),
    "case.check_settled": Entry(
        409,
        "该差异已登记办理情况",
        "What was done about this difference is written already",
        "请刷新后再看。",
        "Reload and look again.",
    ),
    "case.check_cells_unread": Entry(
        422,
        "有单元格无法读取",
        "Some cells can't be read",
        "共 {count} 个。请对方改正后重新导入；也可确认只导入其余行，涉及的人按未查到处理。",
        "{count} in all. Import a corrected file, or confirm to import the rest: those people count as not answered.",
    ),
    "case.check_unreadable": Entry(422, "无法读取核对结果文件", "The answer file can't be read", "{why}", "{why}"),
    # files that an office brings
    "roster.exists": Entry(
        409,
        "该地区本月已有此项目的名册",
        "There is a roster of this program, area and month",
        "打开已有的名册；要重新造册，请先作废。",
        "Open it; to start over, cancel it first.",
    ),
    "roster.not_now": Entry(
        409, "名册现在不能办理此步骤", "Not possible in this state", "名册状态：{state}。", "Its state is {state}."
    ),
    "roster.line_not_paid": Entry(
        409, "此户不是已支付状态", "The line is not paid", "状态：{state}。", "Its state is {state}."
    ),
    "roster.return_waiting": Entry(
        409, "此户的退票登记正在等待确认", "A late return of the line waits to be confirmed"
    ),
    "roster.findings_open": Entry(
        409,
        "还有未处理的疑点",
        "There are findings to judge",
        "{count} 条疑点须先由人处理；名册已退回造册。",
        "{count} findings wait for a person; the roster went back to its draft.",
    ),
    "roster.second_person": Entry(
        403,
        "须由另一人办理",
        "Another person must do this",
        "造册、审核、发送须由不同的人办理。",
        "Preparing, checking and sending are done by different people.",
    ),
    "roster.finding_certain": Entry(
        409,
        "此疑点不能照发",
        "Nobody may pay in spite of this finding",
        "请剔除该户，或更正后重新造册。",
        "Leave the household out, or mend the cause and draft again.",
    ),
    "roster.altered": Entry(
        409,
        "名册与审核时不一致",
        "The roster is not what was checked",
        "已停止发送，请联系系统管理员。",
        "It is not sent. Call your administrator.",
    ),
    "roster.empty": Entry(422, "名册没有可发放的户", "The roster pays nobody"),
    "roster.file_unfit": Entry(
        422, "不能按银行格式生成文件", "The bank's form can't hold these lines", "{why}", "{why_en}"
    ),
    "roster.nothing_returned": Entry(409, "没有待更正的退回", "Nothing was returned that is not corrected yet"),
    "bank_answer.columns_missing": Entry(
        422,
        "银行回盘缺少必要的列",
        "The bank's file lacks columns",
        "未找到：{columns}。",
        "Not found: {columns}.",
    ),
    "aid.not_now": Entry(
        409, "现在不能办理此步骤", "Not possible in this state", "状态：{state}。", "Its state is {state}."
    ),
    "aid.findings_open": Entry(
        409,
        "还有未处理的疑点",
        "There are findings to judge",
        "{count} 条疑点须先由人处理。",
        "{count} findings wait for a person.",
    ),
    "aid.second_person": Entry(
        403,
        "须由另一人办理",
        "Another person must do this",
        "提交和核准发放须由不同的人办理；批次关闭后登记的发放，须由关闭人和登记人以外的人认定。",
        "Preparing and releasing are done by different people; what was recorded after a batch was closed is confirmed "
        "by somebody who neither closed it nor recorded it.",
    ),
    "aid.empty": Entry(422, "批次没有可发放的户", "The batch gives nobody anything"),
    "aid.lines_open": Entry(
        409,
        "还有没有登记的户",
        "Some lines are not recorded yet",
        "{count} 户没有登记已发放或未发放。",
        "{count} lines are neither handed out nor marked as not.",
    ),
    "aid.handed_out": Entry(
        409,
        "该户已登记发放",
        "This line is recorded already",
        "{home} 已登记且内容不同；登记有误的，先收回。",
        "{home} is recorded with other content. Take a wrong record back first.",
    ),
    "aid.too_many": Entry(
        422, "户数过多", "Too many homes", "一个批次最多 {most} 户。", "A batch holds {most} homes at most."
    ),
    "import.unreadable": Entry(422, "无法读取文件", "The file can't be read", "{why}", "{why_en}"),
    "import.confirmed": Entry(
        409, "该导入已确认", "This import was confirmed", "请作为新的导入上传。", "Upload the file as a new import."
    ),
    "import.replaced": Entry(409, "该导入已撤销", "This import was undone", "请重新上传。", "Upload the file again."),
    "import.columns_missing": Entry(
        422,
        "缺少必要的列",
        "Required columns are missing",
        "请为这些列选择表头：{columns}。",
        "Choose a heading for: {columns}.",
    ),
    "import.counts_everywhere": Entry(
        403,
        "节假日安排对本系统的所有县生效",
        "A calendar counts for every county of this installation",
        "须由管辖本系统全部地区的管理员导入；确认人也须管辖全部地区。",
        "It is brought and confirmed by people whose roles cover all of its counties.",
    ),
    "import.second_person": Entry(
        403,
        "须由另一人确认",
        "Another person must confirm this",
        "涉及金额、账户或节假日的导入，上传人不能自己确认，确认人不能自己撤销。",
        "Amounts, accounts and holidays are not confirmed by who uploaded them, nor undone by who confirmed them.",
    ),
    "import.not_applied": Entry(409, "该导入尚未完成", "This import is not applied yet"),
    "import.acted_upon": Entry(
        409,
        "导入的内容已被使用，不能撤销",
        "The imported data is in use and can't be undone",
        "有 {count} 项已有后续操作。",
        "{count} of its entries have been acted on.",
    ),
    # requests of people about their data
    "privacy.notice_replaced": Entry(
        409, "告知书已有新版本", "The notice has a newer version", "请重新阅读后再确认。", "Read it anew, then agree."
    ),
    "privacy.ground_missing": Entry(
        422,
        "不同意或部分同意的须选择理由",
        "A refusal, in part or whole, needs a ground",
        "同意的不填理由。",
        "What is granted has none.",
    ),
    "privacy.must_be_kept": Entry(
        409,
        "档案保存期限未届满，不能同意删除",
        "The law keeps the file",
        "请以“保存期限未届满”为由书面答复；联系电话和微信绑定可以删除。",
        "Refuse in writing with that ground; telephone number and WeChat bindings can be deleted.",
    ),
    "privacy.answered": Entry(409, "该请求已答复", "This request was answered"),
    "privacy.not_answered": Entry(409, "该请求尚未答复", "This request is not answered yet"),
    "privacy.nothing_to_erase": Entry(
        422, "只有删除、限制处理的请求可以删除联系方式", "Only deletion or restriction deletes contact data"
    ),
    "privacy.no_copy_asked": Entry(
        409,
        "该请求不是查阅或复制",
        "This request does not ask to see or copy",
        "请另行登记请求。",
        "Enter another one.",
    ),
    # postings
    "posting.not_now": Entry(409, "当前不能公示", "The case can't be posted at this stage", "案件现处于：{state}。"),
    "posting.places_missing": Entry(
        422,
        "公示地点不足",
        "Too few posting places",
        "至少 {least} 处，各附带定位的照片。",
        "At least {least}, each with a photo that has a position.",
    ),
    "posting.ended": Entry(409, "公示已结束", "The posting has ended"),
    "objection.answered": Entry(409, "异议已答复", "The objection is already answered"),
    # hearings
    "hearing.panel_short": Entry(
        422,
        "评议小组人数不足",
        "Too few panelists",
        "需 {required} 人，可抽取 {found} 人。",
        "{required} are required, {found} can be drawn.",
    ),
    "hearing.no_quorum": Entry(
        422, "到会人数不足", "Too few people attend", "至少 {quorum} 人到会。", "At least {quorum} people must attend."
    ),
    "hearing.count_differs": Entry(
        422,
        "票数与到会人数不符",
        "The number of votes differs from the attendance",
        "到会 {attended}，计票 {votes}。",
        "{attended} attended, {votes} voted.",
    ),
    "hearing.counted": Entry(409, "评议已计票", "The votes are already counted"),
    # complaints
    "complaint.not_now": Entry(409, "当前状态不能进行此操作", "Not possible in this state", "现处于：{state}。"),
    "complaint.against_you": Entry(
        403,
        "此件涉及您本人、您的决定或您的近亲属，须由他人承办",
        "The complaint concerns you, your decision or a close relative: another officer must handle it",
    ),
    "complaint.handled_by_other": Entry(403, "由他人承办", "Another officer handles it"),
    "text.holds_number": Entry(
        400,
        "文字中不能写身份证号或银行卡号",
        "A text must not hold an identity or card number",
        "说明、地址和理由以明文保存；请删去号码，或填入专门的号码栏。",
        "Addresses, notes and reasons are stored in clear: leave the number out, or use the field made for it.",
    ),
    # the server
    "reads.not_logged": Entry(
        503,
        "查阅记录暂时无法写入，因此不显示内容",
        "The look can't be written to the read trail, so nothing is shown",
        "请稍后重试。",
        "Try again later.",
    ),
    "raise.not_ready": Entry(
        409,
        "提标现在不能这样处理",
        "The raise can't be handled so now",
        "当前状态：{state}。请刷新后再看。",
        "Its state is {state}. Reload and look again.",
    ),
    "raise.open": Entry(
        409,
        "本地区已有进行中的提标",
        "Another raise of this area is under way",
        "请先确认、不采纳或等它完成。",
        "Confirm it, decline it, or wait until it is done.",
    ),
    "raise.later_standard": Entry(
        409,
        "该月或之后已有另一标准",
        "Another standard holds from that month or a later one",
        "自 {on} 起。请选择更晚的月份。",
        "From {on}. Choose a later month.",
    ),
    "raise.roster_frozen": Entry(
        409,
        "该月名册已冻结，不能整体撤销",
        "A roster of that month is frozen: the raise can't be undone as a whole",
        "请先作废名册，或逐户处理。",
        "Cancel the roster first, or handle homes one by one.",
    ),
    "raise.month_begun": Entry(
        409,
        "生效月份已开始，不能整体撤销",
        "The month has begun: the raise can't be undone as a whole",
        "请在“金额不符”中逐户处理。",
        "Handle homes one by one, under amounts that differ.",
    ),
    "rule.unknown": Entry(404, "没有这项参数", "There is no such setting", "{key}", "{key}"),
    "rule.takes_two": Entry(
        409,
        "该规定须由两人确定",
        "This setting takes two people",
        "涉及金额或由谁决定的规定，由一人提出，另一人确认后生效。",
        "What moves money, or who decides, is proposed by one person and taken over by another.",
    ),
    "rule.takes_one": Entry(409, "该规定可直接写入，无须提议", "This setting is written directly, not proposed"),
    "rule.second_person": Entry(403, "须由另一人确认", "Another person must take this over"),
    "rule.written": Entry(
        409,
        "该日已有另一条规定",
        "Another value takes effect on that day",
        "由 {by} 写入；已写入的不能更改，请选择另一个生效日期。",
        "Written by {by}. Values can't be changed: choose another effective date.",
    ),
    "server.busy": Entry(503, "服务暂时繁忙", "The server is busy", "请稍后重试。", "Try again later."),
    "server.conflict": Entry(
        409, "同时有另一项更改", "Another change was made at the same time", "请重试。", "Try again."
    ),
    "server.error": Entry(
        500,
        "服务器出错",
        "Internal server error",
        "已记录，请稍后重试。编号 {request_id}。",
        "The error is logged; try again later. Reference {request_id}.",
    ),
    "server.value_altered": Entry(
        500,
        "加密内容无法解读",
        "An encrypted value can't be read",
        "该内容可能在数据库中被改动或调换，请通知系统管理员。",
        "It may have been altered or moved in the database: inform the administrator.",
    ),
    "server.not_ready": Entry(503, "服务尚未就绪", "The server is not ready"),
}


class Fault(Struct, frozen=True, rename="camel"):
    """An invalid field: a JSON pointer (RFC 6901) into the request, a code and a sentence."""

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """An error for the client. `facts` fill the placeholders of the catalogue; `faults` list invalid fields."""

    def __init__(
        self,
        code: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.entry = CATALOGUE[code]
        self.faults = list(faults)
        self.headers = dict(headers or {})
        self.facts = facts

    @property
    def status(self) -> int:
        return self.entry.status


class ProblemBody(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The error response of every route."""

    type: str
    title: str
    status: int
    code: str
    # The code again: RxDB's HTTP client ignores the status and recognizes a failure only by this field.
    error: str
    detail: str = ""
    request_id: str = ""
    errors: list[Fault] = []


def problem_body(problem: Problem, language: Language, request_id: str = "") -> ProblemBody:
    entry = problem.entry
    title, detail = (entry.zh, entry.zh_detail) if language == "zh" else (entry.en, entry.en_detail)
    return ProblemBody(
        type=f"urn:zoufang:problem:{problem.code}",
        title=title,
        status=entry.status,
        code=problem.code,
        error=problem.code,
        detail=detail.format_map(_Facts(problem.facts, request_id=request_id)),
        request_id=request_id,
        errors=problem.faults,
    )


class _Facts(dict[str, Any]):
    """Facts for a sentence; a missing fact is shown as a dash."""

    def __missing__(self, key: str) -> str:
        return "–"


def preferred_language(accept_language: str | None) -> Language:
    """Chinese unless the client puts English first (RFC 9110 §12.5.4)."""
    best: dict[str, float] = {}
    for part in (accept_language or "").split(","):
        tag, _, parameters = part.strip().partition(";")
        primary = tag.split("-")[0].lower()
        best[primary] = max(best.get(primary, 0.0), _weight(parameters))
    return "en" if best.get("en", 0.0) > best.get("zh", 0.0) else "zh"


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
