// Labels of the API's codes in both languages, for all screens of the desk.
import { localize, type Message } from '@shared/i18n.ts';

type Labels = Record<string, Message>;

/** Return the label of a code. In Chinese a code unknown to this version is “其他”. */
export function getLabel(labels: Labels, code: string | null | undefined): string {
  if (!code) return '–';
  return localize(labels[code] ?? ['其他', code]);
}

export const VISIT_KINDS: Labels = {
  intake: ['入户调查', 'Intake'],
  review: ['定期复核', 'Review'],
  neighbour: ['邻里走访', 'Neighbours'],
  complaint: ['举报核查', 'Complaint'],
  spot_check: ['抽查', 'Spot check'],
  care: ['慰问走访', 'Care visit'],
};

export const FINDING_SEVERITIES: Labels = {
  critical: ['严重', 'Critical'],
  warning: ['警示', 'Warning'],
  notice: ['提示', 'Notice'],
  info: ['信息', 'Info'],
};

export const QUEUE_STATES: Labels = {
  waiting: ['待审核', 'Waiting'],
  claimed: ['审核中', 'Being read'],
  decided: ['已决定', 'Decided'],
};

export const VISIT_STATES: Labels = {
  draft: ['草稿', 'Draft'],
  discarded: ['已放弃', 'Discarded'],
  submitted: ['待收齐', 'Arriving'],
  amended: ['已补正', 'Amended'],
  under_review: ['审核中', 'Under review'],
  accepted: ['已通过', 'Accepted'],
  returned: ['已退回', 'Returned'],
  escalated: ['已上报', 'Escalated'],
};

export const REVIEW_OUTCOMES: Labels = {
  accepted: ['通过', 'Accepted'],
  returned: ['退回', 'Returned'],
  spot_check: ['转抽查', 'Spot check'],
  escalated: ['上报', 'Escalated'],
};

export const ROLES: Labels = {
  caseworker: ['村（社区）专干', 'Caseworker'],
  panelist: ['评议小组成员', 'Panelist'],
  town_officer: ['乡镇民政助理', 'Town officer'],
  county_officer: ['县民政局', 'County officer'],
  supervisor: ['督查', 'Supervisor'],
  admin: ['系统管理员', 'Administrator'],
  resident: ['居民', 'Resident'],
};

export const CASE_STATES: Labels = {
  applied: ['已申请', 'Applied'],
  materials: ['待补材料', 'Papers missing'],
  accepted: ['已受理', 'Taken on'],
  survey: ['调查中', 'Survey'],
  preliminary: ['初审中', 'Preliminary'],
  hearing: ['民主评议', 'Hearing'],
  posting: ['公示中', 'Posted'],
  objection: ['异议核实中', 'Objection'],
  county: ['县级审核中', 'County'],
  confirmed: ['已确认', 'Granted'],
  published: ['已公布', 'Disclosed'],
  in_force: ['发放中', 'In force'],
  stopped: ['已停发', 'Stopped'],
  refused: ['未通过', 'Refused'],
  withdrawn: ['已撤回', 'Withdrawn'],
};

export const CASE_STEPS: Labels = {
  papers_missing: ['一次性告知补正材料', 'Ask for papers'],
  accepted: ['受理', 'Take on'],
  not_accepted: ['不予受理', 'Do not take on'],
  survey_begun: ['开始入户调查', 'Begin the survey'],
  cross_check_begun: ['开始经济状况核对', 'Begin the cross-check'],
  hearing_called: ['召开民主评议', 'Call a hearing'],
  opinion_grant: ['初审：拟予保障', 'Propose to grant'],
  opinion_refuse: ['初审：拟不予保障', 'Propose to refuse'],
  survey_ordered: ['重新入户调查', 'Visit again'],
  returned_to_survey: ['退回补充调查', 'Return for more survey'],
  returned_to_town: ['退回重新初审', 'Return to the town'],
  confirmed: ['审核确认：予以保障', 'Grant'],
  refused: ['审核确认：不予保障', 'Refuse'],
  notice_delivered: ['登记决定书送达', 'Decision delivered'],
  published: ['长期公示', 'Disclose'],
  amount_changed: ['调整金额', 'Change the amount'],
  stopped: ['停发', 'Stop'],
  withdrawn: ['撤回申请', 'Withdraw'],
  suspended: ['暂停计时', 'Stop the clock'],
  resumed: ['恢复计时', 'Run the clock'],
  extended: ['延长期限', 'Extend'],
};

/** Events of a case's timeline: steps taken by somebody, and what followed by itself. */
export const CASE_EVENTS: Labels = {
  applied: ['申请已提交', 'Application made'],
  papers_missing: ['告知补正材料', 'Papers asked for'],
  accepted: ['申请已受理', 'Taken on'],
  not_accepted: ['申请未予受理', 'Not taken on'],
  survey_begun: ['开始入户调查', 'Survey began'],
  cross_check_begun: ['开始核对家庭经济状况', 'Cross-check began'],
  survey_done: ['入户调查已通过审核，进入初审', 'Home visit accepted'],
  survey_again: ['入户调查需补充', 'Home visit needs more'],
  hearing_called: ['将召开民主评议', 'Hearing called'],
  hearing_passed: ['民主评议通过', 'Hearing in favour'],
  hearing_failed: ['民主评议未通过', 'Hearing not in favour'],
  opinion_grant: ['初审意见：拟予保障', 'Town proposes to grant'],
  opinion_refuse: ['初审意见：拟不予保障，报县级审核', 'Town proposes to refuse'],
  objection_made: ['公示期间有异议，正在核实', 'Objection to the posting'],
  objection_answered: ['异议已答复，公示继续', 'Objection answered'],
  survey_ordered: ['需要重新入户调查', 'Another home visit ordered'],
  posting_round_ended: ['本轮公示结束，将进行下一轮公示', 'A round of posting ended'],
  posting_ended: ['公示结束，报县级审核确认', 'Posting ended'],
  county_visited: ['县级已入户核查', 'County visited the home'],
  returned_to_survey: ['县级要求补充调查', 'County asks for more of the survey'],
  returned_to_town: ['县级要求重新初审', 'County returned it to the town'],
  confirmed: ['审核确认：予以保障', 'Granted'],
  refused: ['审核确认：不予保障', 'Refused'],
  notice_delivered: ['决定书已送达', 'Decision delivered'],
  published: ['已长期公示', 'Disclosed'],
  in_force: ['开始发放低保金', 'Payment began'],
  amount_changed: ['保障金额已调整', 'Amount changed'],
  stopped: ['已决定停发低保金', 'Stopped'],
  resident_confirmed: ['家庭确认入户记录', 'Household confirmed the visit'],
  resident_disputed: ['家庭对入户记录提出异议', 'Household disputed the visit'],
  change_reported: ['家庭报告变化', 'Household reported a change'],
  change_answered: ['已答复家庭变化报告', 'Report of a change answered'],
  withdrawn: ['申请已撤回', 'Withdrawn'],
  suspended: ['办理暂停', 'Clock stopped'],
  resumed: ['恢复办理', 'Clock resumed'],
  extended: ['办理期限已延长', 'Limit extended'],
};

export const DEADLINE_URGENCIES: Labels = {
  overdue: ['已逾期', 'Overdue'],
  due: ['今天到期', 'Due today'],
  soon: ['即将到期', 'Due soon'],
  later: ['未到期', 'Later'],
  paused: ['暂停计时', 'Paused'],
  none: ['无期限', 'None'],
};

export const COMPLAINT_STATES: Labels = {
  received: ['待登记', 'Received'],
  registered: ['办理中', 'Registered'],
  decided: ['已答复', 'Decided'],
  declined: ['不予受理', 'Declined'],
};

export const COMPLAINT_CHANNELS: Labels = {
  letter: ['来信', 'Letter'],
  visit: ['来访', 'Visit'],
  phone: ['电话', 'Phone'],
  web: ['网上', 'Web'],
  box: ['意见箱', 'Box'],
  proposal: ['代表建议', 'Proposal'],
};

export const COMPLAINT_KINDS: Labels = { complaint: ['投诉举报', 'Complaint'], appeal: ['申诉', 'Appeal'] };
export const COMPLAINT_FINDINGS: Labels = {
  upheld: ['属实', 'Upheld'],
  partly: ['部分属实', 'Partly'],
  unfounded: ['不属实', 'Unfounded'],
};

export const SPOT_CHECK_STATES: Labels = {
  drawn: ['待派人', 'Drawn'],
  assigned: ['已派人', 'Assigned'],
  compared: ['已对比', 'Compared'],
  cancelled: ['已取消', 'Cancelled'],
};
export const SAMPLE_STRATA: Labels = {
  village: ['按村', 'By village'],
  class: ['按类别', 'By class'],
  caseworker: ['按专干', 'By caseworker'],
  finding: ['按疑点', 'By finding'],
};
export const SPOT_CHECK_REASONS: Labels = {
  share: ['按比例抽取', 'By share'],
  quota: ['按名额抽取', 'By quota'],
  ordered: ['审核人要求', 'Ordered by a reviewer'],
  relative: ['近亲属备案', 'Relative on staff'],
  complaint: ['有投诉', 'Complaint'],
};

export const POSTING_STATES: Labels = {
  draft: ['待张贴', 'Draft'],
  open: ['公示中', 'Open'],
  ended: ['已结束', 'Ended'],
};

export const PROPOSAL_STATES: Labels = {
  proposed: ['待审核', 'Proposed'],
  withdrawn: ['已撤回', 'Withdrawn'],
  accepted: ['已采纳', 'Accepted'],
  rejected: ['未采纳', 'Rejected'],
};

export const PLATFORMS: Labels = {
  web: ['网页', 'Web'],
  wechat: ['微信小程序', 'Mini-program'],
  android: ['安卓', 'Android'],
  ios: ['苹果', 'iOS'],
  demo: ['演示', 'Demo'],
  test: ['测试', 'Test'],
};

/** Subjects of notices and WeChat messages. */
export const NOTICE_KINDS: Labels = {
  assigned: ['新的走访任务', 'New visits'],
  visit_blocked: ['走访无法派发', 'Visit without a checklist'],
  returned: ['走访被退回', 'Visit returned'],
  due_tomorrow: ['走访明天到期', 'Due tomorrow'],
  complaint_due: ['信访件将到期', 'Complaint due'],
  papers: ['待补材料', 'Papers missing'],
  accepted: ['申请已受理', 'Taken on'],
  posted: ['已公示', 'Posted'],
  decided: ['申请已决定', 'Decided'],
  answered: ['已有答复', 'Answered'],
  changed: ['待遇有变动', 'Payment changed'],
};
export const MESSAGE_STATES: Labels = { parked: ['未送达', 'Not taken'], unsure: ['结果不明', 'Perhaps sent'] };
/** Known reasons why processing a photo failed. */
export const PHOTO_ERRORS: Labels = {
  StoreUnavailable: ['照片存储连不上', 'The store could not be reached'],
  OtherBytes: ['存储中的内容与照片不符', 'The store holds other bytes'],
};

export const QUARANTINE_REASONS: Labels = {
  quarantined: ['无法入库', 'Quarantined'],
  lost_conflict: ['版本冲突，未采用', 'Lost a conflict'],
};
export const SYNC_COLLECTIONS: Labels = {
  visits: ['走访', 'Visits'],
  evidence: ['照片登记', 'Evidence'],
  attestations: ['同行确认', 'Attestations'],
  households: ['家庭', 'Households'],
  assignments: ['任务', 'Assignments'],
  proposals: ['更正申请', 'Proposals'],
  'household-proposals': ['更正申请', 'Proposals'],
  checklists: ['走访表', 'Checklists'],
};

export const PHOTO_STATES: Labels = {
  announced: ['待上传', 'Announced'],
  received: ['已收到', 'Received'],
  verified: ['已查验', 'Verified'],
  refused: ['不能用', 'Refused'],
};

export const MEMBER_FIELDS: Record<string, Labels> = {
  relation: {
    head: ['户主', 'Head'],
    spouse: ['配偶', 'Spouse'],
    son: ['儿子', 'Son'],
    daughter: ['女儿', 'Daughter'],
    father: ['父亲', 'Father'],
    mother: ['母亲', 'Mother'],
    grandson: ['孙子', 'Grandson'],
    granddaughter: ['孙女', 'Granddaughter'],
  },
  sex: { male: ['男', 'M'], female: ['女', 'F'] },
  health: {
    healthy: ['健康', 'Healthy'],
    chronic: ['慢性病', 'Chronic illness'],
    serious_illness: ['大病', 'Serious illness'],
    disabled: ['残疾', 'Disabled'],
    severely_disabled: ['重度残疾', 'Severely disabled'],
  },
  labourAbility: {
    full: ['有劳动能力', 'Able to work'],
    partial: ['部分丧失', 'Partly'],
    none: ['无劳动能力', 'Unable'],
  },
  school: {
    preschool: ['学前', 'Preschool'],
    primary: ['小学', 'Primary'],
    middle: ['初中', 'Middle'],
    high: ['高中', 'High'],
    college: ['大专及以上', 'College'],
  },
  work: {
    farming: ['务农', 'Farming'],
    casual: ['零工', 'Casual'],
    employed: ['受雇', 'Employed'],
    unemployed: ['无业', 'Unemployed'],
    retired: ['养老', 'Retired'],
  },
};

export const INCOME_KINDS: Labels = {
  wage: ['工资性收入', 'Wages'],
  wages: ['工资性收入', 'Wages'],
  business: ['经营净收入', 'Business'],
  property: ['财产净收入', 'Property'],
  transfer: ['转移净收入', 'Transfers'],
  cost: ['可扣减支出', 'Deductible costs'],
};
export const CHECK_SOURCES: Labels = {
  public_security: ['公安', 'Public security'],
  housing: ['房管', 'Housing'],
  social_security: ['人社', 'Social security'],
  tax: ['税务', 'Tax'],
  market: ['市场监管', 'Market regulation'],
  provident_fund: ['公积金', 'Provident fund'],
  finance: ['金融', 'Finance'],
};
export const PROPERTY_KINDS: Labels = {
  home: ['房产（套）', 'Homes'],
  vehicle: ['机动车（辆）', 'Vehicles'],
  deposit: ['存款（元）', 'Deposits (yuan)'],
  business: ['市场主体（个）', 'Businesses'],
  other: ['其他', 'Other'],
};
export const INCOME_PERIODS: Labels = { month: ['每月', 'a month'], year: ['每年', 'a year'] };

export const FINDINGS: Labels = {
  'visit.far_from_home': ['定位远离住址', 'Far from home'],
  ['visit.accuracy_doubtful']: ['定位精度可疑', 'Doubtful accuracy'],
  'visit.same_accuracy': ['定位精度总相同', 'Same accuracy each time'],
  'visit.same_coordinates': ['坐标完全相同', 'Same coordinates'],
  'visit.partners_apart': ['两人相距过远', 'Investigators apart'],
  'visit.travelled_too_fast': ['行进过快', 'Travelled too fast'],
  'visit.same_spot': ['两户同一点位', 'One spot for two homes'],
  'visit.too_short': ['走访过短', 'Too short'],
  'visit.at_night': ['夜间走访', 'At night'],
  'visit.burst': ['短时多次走访', 'Many in a row'],
  'visit.overlaps': ['走访时间重叠', 'Overlaps another'],
  'visit.clock_off': ['手机时钟不准', 'Clock off'],
  'visit.long_offline': ['离线过久', 'Long offline'],
  'visit.late_after_reassignment': ['改派后才收到', 'Late after reassignment'],
  'visit.one_phone_for_two': ['两人同一手机', 'One phone for two'],
  'visit.phone_shared': ['手机多人登录', 'Shared phone'],
  'visit.wechat_shared': ['多人共用微信', 'WeChat shared'],
  'visit.wechat_also_resident': ['微信又是居民', 'WeChat also a resident'],
  'visit.relative_on_staff': ['有近亲属备案', 'Relative on staff'],
  'visit.relative_not_declared': ['近亲属未备案', 'Relative not declared'],
  'visit.differs_at_spot_check': ['抽查结果不一致', 'Spot check differs'],
  'income.found_differs': ['收入申报与查实不符', 'Income differs'],
  'answers.members_differ_from_register': ['人数与登记不符', 'Members differ from register'],
  'answers.members_differ_from_last_visit': ['人数与上次不符', 'Members differ from last visit'],
  'answers.school_and_job': ['既在校又就业', 'School and job'],
  'answers.school_against_age': ['在校与年龄不符', 'School against age'],
  'answers.labour_against_age': ['劳动能力与年龄不符', 'Labour against age'],
  'answers.earnings_against_income': ['成员收入与收入表不符', 'Earnings against income'],
  'answers.disability_gone': ['残疾情况消失', 'Disability gone'],
  'photo.time_off': ['照片时间不符', 'Photo time off'],
  'photo.after_receipt': ['照片时间晚于接收', 'Photo after receipt'],
  'photo.place_off': ['照片地点不符', 'Photo place off'],
  'photo.abroad': ['照片摄于境外', 'Photo abroad'],
  'photo.reused': ['照片重复使用', 'Photo reused'],
  'photo.near_duplicate': ['照片几乎相同', 'Near duplicate'],
  'photo.like_earlier': ['与此户先前照片相似', 'Like an earlier photo'],
  'signature.twice': ['签名图片重复', 'Signature twice'],
  'photo.edited': ['照片经过处理', 'Edited photo'],
  'photo.like_a_screenshot': ['疑似截屏', 'Like a screenshot'],
  'photo.too_few': ['照片过少', 'Too few photos'],
  'photo.not_listed': ['照片未登记', 'Photo not listed'],
  'photo.late': ['照片上传过晚', 'Photo late'],
  'photo.without_camera_facts': ['无相机信息', 'No camera facts'],
  'photo.refused': ['照片不能作证据', 'Photo refused'],
  'photo.swapped': ['照片与登记不符', 'Photo swapped'],
};

/** Labels of the facts of a finding. */
export const FINDING_FACTS: Labels = {
  distanceM: ['距离（米）', 'Distance (m)'],
  radiusM: ['允许半径（米）', 'Radius (m)'],
  accuracyM: ['精度（米）', 'Accuracy (m)'],
  moment: ['时点', 'Moment'],
  hoursApart: ['相隔（小时）', 'Hours apart'],
  hoursAway: ['相差（小时）', 'Hours away'],
  hoursOff: ['偏差（小时）', 'Hours off'],
  hoursLate: ['迟到（小时）', 'Hours late'],
  days: ['天数', 'Days'],
  people: ['人数', 'People'],
  visits: ['走访次数', 'Visits'],
  minutes: ['分钟', 'Minutes'],
  leastMinutes: ['最少分钟', 'Least minutes'],
  sharedMinutes: ['重叠分钟', 'Shared minutes'],
  speedKmh: ['时速（公里）', 'Speed (km/h)'],
  fixes: ['定位次数', 'Fixes'],
  takenAt: ['拍摄时间', 'Taken at'],
  pictures: ['图片数', 'Pictures'],
  photos: ['照片数', 'Photos'],
  least: ['最少', 'Least'],
  registered: ['登记人数', 'Registered'],
  living: ['实际居住', 'Living here'],
  before: ['上次', 'Before'],
  age: ['年龄', 'Age'],
  declaredFen: ['申报（元）', 'Declared (yuan)'],
  foundFen: ['查实（元）', 'Found (yuan)'],
  earnedFen: ['成员月收入（元）', 'Earned (yuan)'],
  bits: ['指纹相差位数', 'Bits'],
  limitBits: ['位数上限', 'Limit'],
  shownPercent: ['只有原图的（%）', 'Of the other (%)'],
  width: ['宽', 'Width'],
  height: ['高', 'Height'],
  latitude: ['纬度', 'Latitude'],
  longitude: ['经度', 'Longitude'],
  compared: ['对比项', 'Compared'],
  differing: ['不一致', 'Differing'],
  times: ['次数', 'Times'],
  otherVisits: ['其他走访', 'Other visits'],
  memberId: ['成员', 'Member'],
  staffId: ['人员', 'Who'],
  questions: ['题目', 'Questions'],
  homesM: ['两户相距（米）', 'Between the homes (m)'],
  limitM: ['允许（米）', 'Limit (m)'],
  limitKmh: ['上限（公里/小时）', 'Limit (km/h)'],
  limitS: ['允许（秒）', 'Limit (s)'],
  limitDays: ['允许（天）', 'Limit (days)'],
  limitHours: ['允许（小时）', 'Limit (hours)'],
  most: ['最多（次）', 'Most'],
  software: ['处理软件', 'Software'],
};

export const AUDIT_ACTIONS: Labels = {
  'areas.imported': ['导入区划', 'Imported areas'],
  'audit.read': ['查看审计记录', 'Read the trail'],
  'case.calculated': ['测算金额', 'Calculated'],
  'case.moved': ['案件推进', 'Moved a case'],
  'case.notice_printed': ['打印通知书', 'Printed a notice'],
  'case.paper_photo_announced': ['上传材料照片', 'Sent a paper'],
  'case.paper_photo_returned': ['退回材料照片', 'Returned a paper'],
  'case.paper_received': ['登记材料', 'Received a paper'],
  'caseload.granted': ['分派家庭', 'Granted homes'],
  'caseload.revoked': ['收回家庭', 'Revoked homes'],
  'change.decided': ['处理变化报告', 'Decided on a reported change'],
  'checklist.published': ['发布走访表', 'Published a checklist'],
  'complaint.decided': ['答复投诉', 'Decided a complaint'],
  'complaint.declined': ['不予受理投诉', 'Declined a complaint'],
  'complaint.extended': ['延长投诉期限', 'Extended a complaint'],
  'complaint.handed_over': ['移交投诉', 'Handed a complaint over'],
  'complaint.read': ['查看投诉', 'Read a complaint'],
  'complaint.received': ['收到投诉', 'Received a complaint'],
  'complaint.registered': ['登记投诉', 'Registered a complaint'],
  'cross_check.answered': ['导入核对结果', 'Imported answers'],
  'cross_check.exported': ['导出核对名单', 'Exported a check'],
  'cross_check.made': ['发起核对', 'Made a check'],
  'cross_check.objected': ['记下家庭对核对的说明', 'Household objected to a check'],
  'database.restored': ['数据库已恢复', 'Database restored'],
  'day_plan.ordered': ['安排当日路线', 'Ordered a day'],
  'demo.loaded': ['载入演示数据', 'Loaded the demo'],
  'device.ended': ['设备退出', 'Device ended'],
  'device.signed_in': ['设备登录', 'Signed in'],
  'evidence.announced': ['登记照片', 'Announced evidence'],
  'evidence.received': ['收到照片', 'Received evidence'],
  'disclosure.opened': ['开设长期公示', 'Opened a standing list'],
  'disclosure.printed': ['打印长期公示', 'Printed a standing list'],
  'evidence.mismatched': ['照片与登记不符', 'Evidence mismatched'],
  'evidence.parked': ['照片未能查验', 'Evidence could not be examined'],
  'evidence.refused': ['照片不能作证据', 'Evidence refused'],
  'evidence.tried_again': ['重新查验照片', 'Examined evidence again'],
  'evidence.verified': ['照片已查验', 'Evidence verified'],
  'hearing.called': ['召开评议', 'Called a hearing'],
  'hearing.counted': ['评议计票', 'Counted votes'],
  'hearing.conflict': ['评议回避', 'Stepped down from a hearing'],
  'household.changed': ['变更家庭信息', 'Changed a household'],
  'household.created': ['建立家庭档案', 'Created a household'],
  'household.opened': ['查看家庭档案', 'Opened a household'],
  'household.revealed': ['查看完整号码', 'Revealed a number'],
  'list.exported': ['导出名单', 'Exported a list'],
  'message.consented': ['同意接收微信消息', 'Consented to a message'],
  'message.no_consent': ['未发微信消息（没有同意）', 'Message not sent: no consent'],
  'message.none': ['未发微信消息（没有绑定）', 'Message not sent: no WeChat'],
  'message.parked': ['微信消息未能送达', 'Message could not be sent'],
  'message.refused': ['微信消息被拒收', 'Message refused'],
  'message.sent': ['已发微信消息', 'Message sent'],
  'message.unsure': ['微信消息结果不明', 'Message perhaps sent'],
  'message.waiting': ['微信消息待重发', 'Message waits'],
  'visit.blocked': ['走访任务缺走访表', 'A visit waits for a checklist'],
  'visit.unblocked': ['缺走访表的任务已下达', 'A visit that waited went out'],
  'notice.made': ['发出提醒', 'Made a notice'],
  'notice.read': ['阅读提醒', 'Read a notice'],
  'objection.answered': ['答复异议', 'Answered an objection'],
  'objection.contact_revealed': ['查看异议人联系方式', 'Opened an objector’s contact'],
  'objection.made': ['提出异议', 'Objected'],
  'photo.erased': ['按期删除照片', 'Erased a photo'],
  'photo.linked': ['查看照片', 'Opened a photo'],
  'proposal.proposed': ['提出更正申请', 'Proposed a correction'],
  'proposal.accepted': ['采纳更正申请', 'Accepted a proposal'],
  'proposal.rejected': ['不采纳更正申请', 'Rejected a proposal'],
  'proposal.withdrawn': ['撤回更正申请', 'Withdrew a proposal'],
  'posting.ended': ['公示结束', 'Posting ended'],
  'posting.hung_up': ['张贴公示', 'Hung up a posting'],
  'posting.made': ['生成公示', 'Made a posting'],
  'posting.printed': ['打印公示', 'Printed a posting'],
  'posting.started': ['开始公示', 'Started a posting'],
  'resident.binding_ended': ['解除居民绑定', 'Ended a binding'],
  'resident.bound': ['居民绑定', 'Resident bound'],
  'resident.unbound': ['居民自行解除绑定', 'Resident unbound'],
  'review.claimed': ['领取审核', 'Claimed a visit'],
  'review.decided': ['审核决定', 'Decided a visit'],
  'review.entered': ['进入审核队列', 'Entered the queue'],
  'review.entered_again': ['再次进入队列', 'Entered again'],
  'review.handed_over': ['移交审核', 'Handed over'],
  'review.released': ['放回队列', 'Released'],
  'review.reopened': ['重新打开', 'Reopened'],
  'review.undone': ['撤销决定', 'Undid a decision'],
  'rule.written': ['修改规则', 'Wrote a rule'],
  'spot_check.assigned': ['派人抽查', 'Sent a team'],
  'spot_check.compared': ['抽查对比', 'Compared'],
  'spot_check.drawn': ['抽签', 'Drew a sample'],
  'spot_check.opened': ['查看抽查', 'Opened a comparison'],
  'spot_check.planned': ['制定抽查计划', 'Planned a check'],
  'staff.wechat_linked': ['绑定微信', 'Linked WeChat'],
  'sync.conflict_kept': ['保留冲突记录', 'Kept a conflict'],
  'sync.quarantined': ['隔离记录', 'Quarantined a row'],
  'upload.terminated': ['中止上传', 'Ended an upload'],
  'visit.amended': ['补正走访', 'Amended a visit'],
  'visit.attested': ['同行确认', 'Attested'],
  'visit.discarded': ['放弃走访草稿', 'Discarded a draft'],
  'visit.draft': ['保存走访草稿', 'Saved a draft'],
  'visit.bundled': ['导出证据包', 'Exported a bundle'],
  'visit.complete': ['走访收齐', 'Visit complete'],
  'visit.opened': ['查看走访', 'Opened a visit'],
  'visit.saved': ['保存或放弃走访草稿', 'Saved or discarded a draft'],
  'visit.submitted': ['提交走访', 'Submitted a visit'],
  'workload.scheduled': ['排定走访', 'Scheduled visits'],
};

export const AUDIT_SUBJECTS: Labels = {
  notice: ['提醒', 'Notice'],
  photo: ['照片', 'Photo'],
  blocked_visit: ['待派发的走访', 'Waiting visit'],
  spot_check: ['抽查', 'Spot check'],
  spot_check_plan: ['抽查计划', 'Plan'],
  hearing: ['评议', 'Hearing'],
  paper_photo: ['材料照片', 'Paper'],
  proposal: ['更正申请', 'Proposal'],
  checklist: ['走访表', 'Checklist'],
  visit: ['走访', 'Visit'],
  household: ['家庭', 'Household'],
  case: ['案件', 'Case'],
  complaint: ['投诉', 'Complaint'],
  posting: ['公示', 'Posting'],
  device: ['设备', 'Device'],
  staff: ['人员', 'Staff'],
  list: ['名单', 'List'],
  audit: ['审计记录', 'Audit'],
  evidence: ['照片', 'Evidence'],
  resident: ['居民', 'Resident'],
  area_rule: ['规则', 'Rule'],
  area: ['区划', 'Area'],
  attestation: ['同行确认', 'Attestation'],
  change_report: ['变化报告', 'Reported change'],
  cross_check: ['核对', 'Cross-check'],
  cross_check_batch: ['核对名单', 'Cross-check'],
  day_plan: ['当日路线', 'Day plan'],
  disclosure: ['长期公示', 'Standing list'],
  objection: ['异议', 'Objection'],
  person: ['本人', 'Oneself'],
  posting_place: ['张贴处', 'Place of a posting'],
  template: ['消息模板', 'Message template'],
  upload: ['上传', 'Upload'],
  proposals: ['更正申请', 'Proposal'],
  visits: ['走访', 'Visit'],
  attestations: ['同行确认', 'Attestation'],
};

export const AUDIT_ACTORS: Labels = {
  staff: ['工作人员', 'Staff'],
  resident: ['居民', 'Resident'],
  system: ['系统', 'System'],
};
