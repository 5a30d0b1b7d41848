/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a set from files. Runs in the background; nothing here is in anybody's way. */
#include "anchors.h"
#include "revocation_set.h"
#include "user/core/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)1 << 30)
#define FILES_MAX 4096
#define HITS_MAX (UINT64_C(1) << 31)

/* A set on its way. */
struct build {
	const struct ch_revocation_options *options;
	struct ch_revocation *set;
	uint64_t hit_cap;
	uint32_t list_cap;
	char *files[FILES_MAX];
	struct {
		dev_t device;
		ino_t inode;
	} seen[FILES_MAX];
	size_t file_count;
	EVP_MD_CTX *issuer; /**< digest that has taken the issuer's name */
	EVP_MD_CTX *scratch;
};

static void tell(const struct build *build, const char *file, const char *why)
{
	ch_log(build->options->log, CH_LOG_WARNING, "event=crl-refused file=\"%s\" why=\"%s\"",
	       file, why);
}

static void refuse(struct build *build, const char *file, const char *why)
{
	build->set->refused++;
	tell(build, file, why);
}

static int grow_hits(struct build *build)
{
	struct ch_revocation *set = build->set;
	uint64_t cap = build->hit_cap + build->hit_cap / 2 + 1024;
	struct ch_crl_hit *more;

	if (set->hit_count < build->hit_cap)
		return 0;
	if (cap > HITS_MAX)
		return CH_E_LIMIT;
	more = realloc(set->hits, cap * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	set->hits = more;
	build->hit_cap = cap;
	return 0;
}

static int add_list(struct build *build, struct ch_crl_list *list)
{
	struct ch_revocation *set = build->set;
	struct ch_crl_list **more;
	uint32_t cap = build->list_cap * 2 + 16;

	if (set->list_count == CH_CRLS_MAX)
		return CH_E_LIMIT;
	if (set->list_count == build->list_cap) {
		more = realloc(set->lists, cap * sizeof(struct ch_crl_list *));
		if (more == NULL)
			return -ENOMEM;
		set->lists = more;
		build->list_cap = cap;
	}
	set->lists[set->list_count++] = list;
	return 0;
}

/* The content of an INTEGER as DER has it: some lists carry more zeros than that. */
static struct ch_slice minimal(struct ch_slice serial)
{
	while (serial.len > 1 && ((serial.data[0] == 0 && serial.data[1] < 0x80) ||
				  (serial.data[0] == 0xff && serial.data[1] >= 0x80))) {
		serial.data++;
		serial.len--;
	}
	return serial;
}

/* As ch_proof_element, with the issuer's name taken once for the whole list. */
static bool hash_entry(struct build *build, struct ch_slice serial, uint8_t *element)
{
	uint8_t sha256[32];

	serial = minimal(serial);
	if (EVP_MD_CTX_copy_ex(build->scratch, build->issuer) != 1 ||
	    EVP_DigestUpdate(build->scratch, serial.data, serial.len) != 1 ||
	    EVP_DigestFinal_ex(build->scratch, sha256, NULL) != 1)
		return false;
	memcpy(element, sha256, CH_PROOF_ELEMENT);
	return true;
}

static int read_entries(struct build *build, const struct ch_crl *crl, struct ch_crl_list *list,
			char *error)
{
	struct ch_revocation *set = build->set;
	struct ch_slice entries = crl->entries;
	struct ch_crl_entry entry;
	int more;
	int err;

	if (EVP_DigestInit_ex(build->issuer, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(build->issuer, crl->issuer.data, crl->issuer.len) != 1)
		return -ENOMEM;
	while ((more = ch_crl_next(&entries, &entry, error)) == 1) {
		struct ch_crl_hit *hit;

		err = grow_hits(build);
		if (err != 0) {
			snprintf(error, CH_CRL_ERROR, "%s", ch_error_text(err));
			return err;
		}
		hit = &set->hits[set->hit_count];
		if (!hash_entry(build, entry.serial, hit->element))
			return -ENOMEM;
		/* By its place in the order they came; put right when the lists are sorted. */
		hit->list = (uint16_t)set->list_count;
		hit->removed = entry.removed;
		set->hit_count++;
		list->entries++;
	}
	return more;
}

static int copy_slice(struct ch_slice from, uint8_t **to, size_t *len)
{
	*to = malloc(from.len + 1);
	if (*to == NULL)
		return -ENOMEM;
	if (from.len > 0)
		memcpy(*to, from.data, from.len);
	*len = from.len;
	return 0;
}

static void free_unused(struct ch_crl_list *list)
{
	free(list->file);
	free(list->point);
	free(list->signature);
	free(list);
}

static int fill_list(const struct ch_crl *crl, const char *file, struct ch_crl_list *list,
		     char *error)
{
	int err;

	list->this_update = crl->this_update;
	list->next_update = crl->next_update;
	memcpy(list->number, crl->number, CH_CRL_NUMBER);
	memcpy(list->base, crl->base, CH_CRL_NUMBER);
	list->delta = crl->delta;
	list->users = crl->users;
	list->authorities = crl->authorities;
	list->file = strdup(file);
	err = list->file == NULL ? -ENOMEM : ch_crl_hash(crl->issuer, list->name);
	if (err == 0 && crl->point.len > 0)
		err = ch_crl_hash(crl->point, list->scope);
	if (err == 0)
		err = copy_slice(crl->point, &list->point, &list->point_len);
	if (err == 0)
		err = copy_slice(crl->signature, &list->signature, &list->signature_len);
	return err != 0 ? err : ch_crl_digest(crl, list, error);
}

/* One list; what is wrong with it is the file's fault and goes to the log. @return 0 or -ENOMEM */
static int add_crl(struct build *build, const char *file, struct ch_slice der)
{
	uint64_t hits = build->set->hit_count;
	char error[CH_CRL_ERROR] = "";
	struct ch_crl_list *list;
	struct ch_crl crl;
	int err = ch_crl_parse(der, &crl, error);

	if (err != 0) {
		refuse(build, file, error);
		return 0;
	}
	list = calloc(1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	err = fill_list(&crl, file, list, error);
	if (err == 0)
		err = read_entries(build, &crl, list, error);
	if (err == 0)
		err = add_list(build, list);
	if (err == 0)
		return 0;
	build->set->hit_count = hits;
	free_unused(list);
	if (err == -ENOMEM)
		return err;
	refuse(build, file, error[0] != '\0' ? error : ch_error_text(err));
	return 0;
}

static int add_pem(struct build *build, const char *file, struct ch_slice text)
{
	BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
	unsigned char *data = NULL;
	char *header = NULL;
	char *name = NULL;
	size_t found = 0;
	long len = 0;
	int err = bio == NULL ? -ENOMEM : 0;

	ERR_clear_error();
	while (err == 0 && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
		if (strcmp(name, PEM_STRING_X509_CRL) == 0) {
			found++;
			err = add_crl(build, file, (struct ch_slice){data, (size_t)len});
		}
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	if (err == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		refuse(build, file, "is broken PEM: fetch it anew");
	else if (err == 0 && found == 0)
		refuse(build, file, "holds no revocation list (PEM \"X509 CRL\" or DER)");
	BIO_free(bio);
	ERR_clear_error();
	return err;
}

/* Reads, as a mapping would end the process when somebody cuts the file. */
static int read_whole(int fd, size_t size, uint8_t **data, size_t *len)
{
	size_t at = 0;
	ssize_t got = 1;

	*data = malloc(size + 1);
	if (*data == NULL)
		return -ENOMEM;
	while (at < size && got > 0) {
		got = read(fd, *data + at, size - at);
		if (got > 0)
			at += (size_t)got;
	}
	*len = at;
	return got < 0 ? -errno : 0;
}

/* Was the file read already, under another name? */
static bool is_seen(const struct build *build, const struct stat *st)
{
	for (size_t i = 0; i < build->file_count; i++)
		if (build->seen[i].device == st->st_dev && build->seen[i].inode == st->st_ino)
			return true;
	return false;
}

/* @return 0, -ENOMEM, or a negated errno that the caller reports */
static int load_open(struct build *build, const char *file, int fd)
{
	struct ch_slice content;
	uint8_t *data = NULL;
	struct stat st;
	size_t len = 0;
	int err;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (is_seen(build, &st))
		return 0;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > FILE_BYTES_MAX)
		return -EFBIG;
	build->seen[build->file_count].device = st.st_dev;
	build->seen[build->file_count].inode = st.st_ino;
	build->files[build->file_count] = strdup(file);
	if (build->files[build->file_count] == NULL)
		return -ENOMEM;
	build->file_count++;
	err = read_whole(fd, (size_t)st.st_size, &data, &len);
	content = (struct ch_slice){data, len};
	if (err == 0)
		err = len > 0 && data[0] == 0x30 ? add_crl(build, file, content)
						 : add_pem(build, file, content);
	free(data);
	return err;
}

static int load_file(struct build *build, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int err = fd < 0 ? -errno : load_open(build, file, fd);

	if (fd >= 0)
		close(fd);
	if (err == 0 || err == -ENOMEM)
		return err;
	refuse(build, file, err == -EINVAL ? "is not a regular file" : ch_error_text(err));
	return 0;
}

static int is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int load_directory(struct build *build, const char *directory)
{
	struct dirent **names = NULL;
	int count = scandir(directory, &names, is_shown, alphasort);
	int err = count < 0 ? -errno : 0;

	for (int i = 0; i < count; i++) {
		char *file = NULL;

		if (err == 0 && i == FILES_MAX)
			refuse(build, directory,
			       "holds more than 4096 files: the rest is not read");
		if (err == 0 && i < FILES_MAX) {
			err = asprintf(&file, "%s/%s", directory, names[i]->d_name) < 0 ? -ENOMEM
											: 0;
			if (err == 0)
				err = load_file(build, file);
			free(file);
		}
		free(names[i]);
	}
	free(names);
	return err;
}

static uint64_t mix(uint64_t so_far, const void *data, size_t len)
{
	const uint64_t both[2] = {so_far, ch_hash(data, len)};

	return ch_hash(both, sizeof(both));
}

static uint64_t mix_file(uint64_t so_far, int directory, const char *name)
{
	struct stat st;
	uint64_t facts[5];

	if (fstatat(directory, name, &st, 0) != 0)
		return so_far;
	facts[0] = st.st_dev;
	facts[1] = st.st_ino;
	facts[2] = (uint64_t)st.st_size;
	facts[3] = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	facts[4] = (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec;
	return mix(mix(so_far, name, strlen(name)), facts, sizeof(facts));
}

uint64_t ch_revocation_scan(const char *path)
{
	struct dirent **names = NULL;
	uint64_t found = 1;
	struct stat st;
	int directory;
	int count;

	if (stat(path, &st) != 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return mix_file(found, AT_FDCWD, path);
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	count = directory >= 0 ? scandir(path, &names, is_shown, alphasort) : -1;
	for (int i = 0; i < count; i++) {
		found = mix_file(found, directory, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	if (directory >= 0)
		close(directory);
	return count >= 0 ? found : 0;
}

static int load_path(struct build *build, char *error)
{
	const char *path = build->options->path;
	struct stat st;
	int err = stat(path, &st) != 0 ? -errno : 0;

	if (err == 0)
		err = S_ISDIR(st.st_mode) ? load_directory(build, path) : load_file(build, path);
	if (err == 0 || err == -ENOMEM)
		return err;
	snprintf(error, CH_ERROR_TEXT, "%.160s cannot be read: %s", path, ch_error_text(err));
	return CH_E_CONFIG;
}

static int order_lists(const void *a, const void *b)
{
	const struct ch_crl_list *x = *(struct ch_crl_list *const *)a;
	const struct ch_crl_list *y = *(struct ch_crl_list *const *)b;
	int order = memcmp(x->name, y->name, 16);

	return order != 0 ? order : memcmp(x->scope, y->scope, 16);
}

static int order_hits(const void *a, const void *b)
{
	const struct ch_crl_hit *x = a;
	const struct ch_crl_hit *y = b;
	int order = memcmp(x->element, y->element, CH_PROOF_ELEMENT);

	return order != 0 ? order : (int)x->list - (int)y->list;
}

/* Gives back what growing took too much. */
static void trim(struct build *build)
{
	struct ch_revocation *set = build->set;
	struct ch_crl_hit *less = realloc(set->hits, (set->hit_count + 1) * sizeof(*less));

	if (less != NULL)
		set->hits = less;
}

/* Sorts the lists, gives the entries the new places, and sorts those. */
static int sort(struct build *build)
{
	struct ch_revocation *set = build->set;
	uint16_t *place;

	if (set->list_count == 0)
		return 0;
	place = malloc(set->list_count * sizeof(*place));
	if (place == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->list_count; i++)
		set->lists[i]->came = (uint16_t)i;
	qsort(set->lists, set->list_count, sizeof(struct ch_crl_list *), order_lists);
	for (uint32_t i = 0; i < set->list_count; i++)
		place[set->lists[i]->came] = (uint16_t)i;
	for (uint64_t i = 0; i < set->hit_count; i++)
		set->hits[i].list = place[set->hits[i].list];
	if (set->hit_count > 0)
		qsort(set->hits, set->hit_count, sizeof(*set->hits), order_hits);
	trim(build);
	free(place);
	return 0;
}

static int add_anchors(struct build *build)
{
	const struct ch_trust *trust = build->options->trust;
	struct ch_revocation *set = build->set;
	size_t count = 0;

	for (size_t m = 0; trust != NULL && m < trust->count; m++)
		count += (size_t)sk_X509_num(trust->manufacturers[m].anchors);
	set->anchors = calloc(count + 1, sizeof(*set->anchors));
	if (set->anchors == NULL)
		return -ENOMEM;
	for (size_t m = 0; trust != NULL && m < trust->count; m++) {
		const struct ch_manufacturer *from = &trust->manufacturers[m];

		for (int i = 0; i < sk_X509_num(from->anchors); i++) {
			X509 *anchor = sk_X509_value(from->anchors, i);
			struct ch_crl_anchor *to = &set->anchors[set->anchor_count];

			snprintf(to->owner, sizeof(to->owner), "%s", from->name);
			if (X509_digest(anchor, EVP_sha256(), to->sha256, NULL) == 1)
				set->anchor_count++;
			ch_revocation_learn(set, anchor, from->name);
		}
	}
	return 0;
}

static bool is_there(const struct build *build, const char *file)
{
	for (size_t i = 0; i < build->file_count; i++)
		if (strcmp(build->files[i], file) == 0)
			return true;
	return false;
}

/* Does the new set hold a verified list that takes the place of @list? */
static bool is_replaced(const struct ch_revocation *set, const struct ch_crl_list *list)
{
	for (uint32_t i = 0; i < set->list_count; i++) {
		const struct ch_crl_list *other = set->lists[i];

		if (other->issuer != NULL && other->delta == list->delta &&
		    memcmp(other->name, list->name, 16) == 0 &&
		    memcmp(other->scope, list->scope, 16) == 0 &&
		    memcmp(other->number, list->number, CH_CRL_NUMBER) >= 0 &&
		    (memcmp(other->number, list->number, CH_CRL_NUMBER) != 0 ||
		     other->this_update >= list->this_update))
			return true;
	}
	return false;
}

static int copy_list(struct build *build, const struct ch_revocation *old, uint32_t index)
{
	const struct ch_crl_list *from = old->lists[index];
	struct ch_revocation *set = build->set;
	struct ch_crl_list *list = malloc(sizeof(*list));
	size_t len;
	int err;

	if (list == NULL)
		return -ENOMEM;
	memcpy(list, from, sizeof(*list));
	list->file = strdup(from->file);
	list->point = NULL;
	list->signature = NULL;
	err = list->file == NULL ? -ENOMEM : 0;
	if (err == 0)
		err = copy_slice((struct ch_slice){from->point, from->point_len}, &list->point,
				 &len);
	if (err == 0)
		err = copy_slice((struct ch_slice){from->signature, from->signature_len},
				 &list->signature, &len);
	for (uint64_t i = 0; err == 0 && i < old->hit_count; i++) {
		if (old->hits[i].list != index)
			continue;
		err = grow_hits(build);
		if (err != 0)
			break;
		set->hits[set->hit_count] = old->hits[i];
		set->hits[set->hit_count++].list = (uint16_t)set->list_count;
	}
	if (err == 0)
		err = add_list(build, list);
	if (err != 0)
		free_unused(list);
	return err;
}

/* What was good and whose file is still there, but holds nothing better. */
static int keep_old(struct build *build)
{
	const struct ch_revocation *old = build->options->old;
	int err = 0;

	for (uint32_t i = 0; err == 0 && old != NULL && i < old->list_count; i++) {
		const struct ch_crl_list *list = old->lists[i];

		if (list->issuer == NULL || !is_there(build, list->file) ||
		    is_replaced(build->set, list))
			continue;
		err = copy_list(build, old, i);
		build->set->kept++;
		tell(build, list->file,
		     "holds nothing newer that is verified: the list it held stays");
	}
	return err;
}

static int build_set(struct build *build, char *error)
{
	int err;

	/* Before reading: what changes meanwhile makes another set. */
	build->set->scanned = ch_revocation_scan(build->options->path);
	err = load_path(build, error);

	if (err == 0)
		err = add_anchors(build);
	if (err == 0)
		ch_crl_issuers_settle(build->set);
	if (err == 0)
		err = keep_old(build);
	if (err == 0)
		err = sort(build);
	return err;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int new_set(struct build *build)
{
	struct ch_revocation *old = build->options->old;
	struct ch_revocation *set = calloc(1, sizeof(*set));

	build->set = set;
	if (set == NULL)
		return -ENOMEM;
	atomic_init(&set->references, 1);
	if (old != NULL)
		set->issuers = ch_crl_issuers_take(old->issuers);
	else if (ch_crl_issuers_new(&set->issuers) != 0)
		return -ENOMEM;
	build->issuer = EVP_MD_CTX_new();
	build->scratch = EVP_MD_CTX_new();
	return build->issuer == NULL || build->scratch == NULL ? -ENOMEM : 0;
}

int ch_revocation_build(const struct ch_revocation_options *options, struct ch_revocation **made,
			char error[CH_ERROR_TEXT])
{
	struct build *build = calloc(1, sizeof(*build));
	uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int err;

	error[0] = '\0';
	if (build == NULL)
		return -ENOMEM;
	build->options = options;
	err = new_set(build);
	if (err == 0)
		err = build_set(build, error);
	if (err == 0) {
		build->set->build_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - began;
		build->set->built_unix_ns = clock_ns(CLOCK_REALTIME);
		*made = build->set;
	} else {
		ch_revocation_drop(build->set);
	}
	EVP_MD_CTX_free(build->issuer);
	EVP_MD_CTX_free(build->scratch);
	for (size_t i = 0; i < build->file_count; i++)
		free(build->files[i]);
	free(build);
	ERR_clear_error();
	return err;
}
