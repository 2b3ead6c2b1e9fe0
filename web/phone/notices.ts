// What this caseworker is told of: on the tab and in “Me”. Asked for with each look at the server.
import { openNotices } from '@shared/notices.ts';

export const notices = openNotices('field');
