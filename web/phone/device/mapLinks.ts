// Links that show a place in a map app. Each gets the position in the datum that it is told of: one in another is hundreds
// of metres off. Whose home it is stays here: the makers of the maps learn a point alone.
import { toGcj02, toWgs84, type Coordinates } from '@shared/coordinates.ts';

export interface MapLink {
  name: readonly [zh: string, en: string];
  url: string;
}

const DECIMALS = 6;
// These apps are in Chinese.
const TITLE: readonly [zh: string, en: string] = ['走访地点', 'Place of the visit'];

export function listMapLinks(position: Coordinates, datum: string): MapLink[] {
  const { latitude, longitude } = datum === 'gcj02' ? position : toGcj02(toWgs84(position, datum));
  const [lat, lng] = [latitude.toFixed(DECIMALS), longitude.toFixed(DECIMALS)];
  const title = encodeURIComponent(TITLE[0]);
  return [
    {
      name: ['高德地图', 'Amap'],
      url: `https://uri.amap.com/marker?position=${lng},${lat}&name=${title}&coordinate=gaode&callnative=1`,
    },
    {
      name: ['腾讯地图', 'Tencent Maps'],
      url: `https://apis.map.qq.com/uri/v1/marker?marker=coord:${lat},${lng};title:${title}&coord_type=2&referer=zoufang`,
    },
    {
      name: ['百度地图', 'Baidu Maps'],
      url: `https://api.map.baidu.com/marker?location=${lat},${lng}&title=${title}&content=${title}&coord_type=gcj02&output=html&src=zoufang`,
    },
  ];
}
