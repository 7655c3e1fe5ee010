import sharp from 'sharp';
import type { Picture } from '../ipc/messages.js';

const PIXELS_MAX = 50_000_000; // 200 MB once decoded; what a small file may pretend to be has no limit
const THUMBNAIL_EDGE = 320; // pixels, twice the width of a preview
const QUALITY = 75;
const SECONDS_MAX = 10;

sharp.cache(false); // one picture at a time, none of them twice
sharp.concurrency(1);

/**
 * A picture's size as it is seen (turned as its EXIF says), and a thumbnail of its first frame. The thumbnail holds
 * pixels alone: no metadata.
 *
 * @throws for what is no picture, a broken one, or one of too many pixels
 */
export async function readPicture(bytes: Uint8Array): Promise<Picture> {
  const options = { limitInputPixels: PIXELS_MAX, sequentialRead: true, failOn: 'error', pages: 1 } as const;
  const { autoOrient } = await sharp(bytes, options).metadata();
  const thumbnail = await sharp(bytes, options)
    .autoOrient()
    .resize(THUMBNAIL_EDGE, THUMBNAIL_EDGE, { fit: 'inside', withoutEnlargement: true })
    .webp({ quality: QUALITY })
    .timeout({ seconds: SECONDS_MAX })
    .toBuffer();
  return { width: autoOrient.width, height: autoOrient.height, thumbnail };
}
