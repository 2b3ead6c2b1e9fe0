// The main menu: every screen of the desk, by subject. A new screen is a line here and one in permissions.ts.
import type { Message } from '@shared/i18n.ts';
import { canOpen, type Screen } from '../permissions.ts';

interface Group {
  name: Message;
  entries: Partial<Record<Screen, Message>>;
}

const GROUPS: readonly Group[] = [
  {
    name: ['走访', 'Visits'],
    entries: {
      '/queue': ['审核队列', 'Queue'],
      '/overview': ['总览', 'Overview'],
      '/due': ['到期走访', 'Visits due'],
      '/orders': ['走访安排', 'Orders'],
      '/spot-checks': ['抽查', 'Spot checks'],
      '/records': ['其他工作', 'Other work'],
    },
  },
  {
    name: ['家庭', 'Households'],
    entries: {
      '/households': ['家庭', 'Households'],
      '/proposals': ['更正申请', 'Proposals'],
      '/duplicates': ['疑似重复', 'Duplicates'],
      '/data-requests': ['个人信息', 'Personal data'],
    },
  },
  {
    name: ['案件和资金', 'Cases and money'],
    entries: {
      '/cases': ['案件', 'Cases'],
      '/recommendations': ['复核建议', 'Recommendations'],
      '/cross-checks': ['核对', 'Cross-checks'],
      '/proofs': ['定期证明', 'Proofs'],
      '/raises': ['提标', 'Raises'],
      '/rosters': ['发放', 'Payments'],
      '/aid': ['救助台账', 'Aid'],
      '/change-returns': ['变动月报', 'Monthly returns'],
    },
  },
  {
    name: ['公示和投诉', 'In public'],
    entries: {
      '/postings': ['公示', 'Postings'],
      '/complaints': ['投诉', 'Complaints'],
      '/messages': ['告知送达', 'Messages'],
    },
  },
  {
    name: ['人员和规则', 'People and rules'],
    entries: {
      '/staff': ['人员', 'Staff'],
      '/areas': ['地区', 'Areas'],
      '/checklists': ['走访表', 'Checklists'],
      '/rules': ['规则', 'Rules'],
      '/imports': ['导入', 'Imports'],
      '/packages': ['全部导出', 'Take everything'],
    },
  },
  {
    name: ['系统', 'System'],
    entries: {
      '/devices': ['设备与同步', 'Devices'],
      '/failed-jobs': ['未完成的处理', 'Failed jobs'],
      '/audit': ['审计', 'Audit'],
      '/reads': ['查阅记录', 'Who looked'],
      '/problem-reports': ['报告问题', 'Problems'],
    },
  },
];

/** List the groups with the screens that the signed-in person may open. */
export function listMenu(): { name: Message; entries: [path: string, name: Message][] }[] {
  return GROUPS.map(({ name, entries }) => ({
    name,
    entries: Object.entries(entries).filter(([path]) => canOpen(path)),
  })).filter(({ entries }) => entries.length);
}

/** Return the name of the menu's entry that a path belongs to. */
export function findEntry(path: string): Message | undefined {
  const screen = `/${path.split('/')[1] ?? ''}` as Screen;
  return GROUPS.map(({ entries }) => entries[screen]).find(Boolean);
}
