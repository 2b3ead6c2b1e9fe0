"""`/desk/v1`: records of the work beside the visits, the tasks that ask for them, and villages without publicity."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.checklists.wording import visit_kind_text
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    Officer,
    PageLimit,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.records import detail, listing, tasks
from server.records.detail import RecordDetail, RecordPhotoLink, Rendition
from server.records.listing import PublicityGap, RecordLine
from server.records.tasks import CreateTask, TaskLine
from server.sync_feed.documents import RecordKind

Since = Annotated[date | None, QueryParameter(description="Made on this day or later.")]
TaskState = Annotated[Literal["open", "done", "cancelled"] | None, QueryParameter(name="state")]
TASK_STATES = {"open": "待办", "done": "已完成", "cancelled": "已取消"}


@get(
    "/records",
    opt=reads("record"),
    responses=SIGNED_IN_ERRORS,
    description="Submitted records of the work beside the visits, latest first.",
)
async def list_records(
    officer: Officer,
    session: Session,
    kind: FromQuery[RecordKind | None] = None,
    area: AreaFilter = None,
    since: Since = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[RecordLine]:
    return await listing.list_records(session, officer, kind=kind, area=area, since=since, cursor=cursor, limit=limit)


export_records = build_export_route(
    list_records,
    "records",
    {
        "编号": lambda line: line.id,
        "类别": lambda line: visit_kind_text(line.kind).zh,
        "地区代码": lambda line: line.area_code,
        "村（社区）": lambda line: line.area_name,
        "记录人": lambda line: line.author_name,
        "时间": lambda line: line.started_at,
        "提交时间": lambda line: line.submitted_at,
        "人数": lambda line: line.people,
        "照片数": lambda line: line.photos,
        "已补正": lambda line: line.state == "amended",
    },
)


@get(
    "/records/{record_id:uuid}",
    opt=reads("record"),
    operation_id="open_record",
    responses=LOOKUP_ERRORS,
    description="One record: answers, people, place, photos, and its earlier versions.",
)
async def open_record(record_id: FromPath[UUID], officer: Officer, session: Session) -> RecordDetail:
    return await detail.open_record(session, officer, record_id)


@get(
    "/records/{record_id:uuid}/photos/{evidence_id:uuid}/link",
    opt=reads("photo"),
    operation_id="link_record_photo",
    responses=LOOKUP_ERRORS | error_responses("photo.not_ready", "photo.erased", "store.unavailable"),
    description="A link, valid for minutes, to a photo of a record. The access is written to the audit log.",
)
async def link_record_photo(
    record_id: FromPath[UUID],
    evidence_id: FromPath[UUID],
    officer: Officer,
    session: Session,
    services: ServicesDep,
    rendition: FromQuery[Rendition] = "1280",
) -> RecordPhotoLink:
    return await detail.link_record_photo(session, services, officer, record_id, evidence_id, rendition, utc_now())


@get(
    "/publicity-gaps",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Villages in which no publicity was recorded for the months of `publicity.months`.",
)
async def list_publicity_gaps(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[PublicityGap]:
    return await listing.list_publicity_gaps(session, officer, area=area, cursor=cursor, limit=limit, now=utc_now())


export_publicity_gaps = build_export_route(
    list_publicity_gaps,
    "publicity-gaps",
    {
        "地区代码": lambda gap: gap.area_code,
        "乡镇（街道）": lambda gap: gap.town_name,
        "村（社区）": lambda gap: gap.area_name,
        "最近一次": lambda gap: gap.last_on,
        "规定月数": lambda gap: gap.months,
        "来源": lambda gap: gap.source,
    },
)


@get(
    "/tasks",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Tasks given to the field staff of the caller's area, those due first on top.",
)
async def list_tasks(
    officer: Officer,
    session: Session,
    task_state: TaskState = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[TaskLine]:
    return await tasks.list_tasks(session, officer, state=task_state, area=area, cursor=cursor, limit=limit)


export_tasks = build_export_route(
    list_tasks,
    "tasks",
    {
        "编号": lambda line: line.id,
        "类别": lambda line: visit_kind_text(line.kind).zh,
        "地区代码": lambda line: line.area_code,
        "村（社区）": lambda line: line.area_name,
        "承办人": lambda line: line.assignee_name,
        "期限": lambda line: line.due_on,
        "要求": lambda line: line.note,
        "状态": lambda line: TASK_STATES[line.state],
        "布置时间": lambda line: line.made_at,
        "完成时间": lambda line: line.closed_at,
    },
)


@post(
    "/tasks",
    operation_id="create_task",
    status_code=204,
    responses=SIGNED_IN_ERRORS
    | error_responses("record.area_unknown", "record.subject_unknown", "task.assignee_unknown"),
    description="Give a task to the field staff of a village, or to one of them. Idempotent by id.",
)
async def create_task(data: JSONBody[CreateTask], officer: Officer, session: Session) -> None:
    await tasks.create_task(session, officer, data)


@post(
    "/tasks/{task_id:uuid}/cancel",
    operation_id="cancel_task",
    status_code=204,
    responses=LOOKUP_ERRORS,
    description="Take an open task back.",
)
async def cancel_task(task_id: FromPath[UUID], officer: Officer, session: Session) -> None:
    await tasks.cancel_task(session, officer, task_id)


router = Router(
    "/desk/v1",
    route_handlers=[
        list_records,
        export_records,
        open_record,
        link_record_photo,
        list_publicity_gaps,
        export_publicity_gaps,
        list_tasks,
        export_tasks,
        create_task,
        cancel_task,
    ],
    tags=["desk"],
    security=BEARER,
)
